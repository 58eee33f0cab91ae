//! A request head: the bytes received, parsed by `httparse` and checked before anything uses them.

use std::str;

/// The longest head that is read before it is refused, in bytes.
pub const MAX_HEAD: usize = 8 * 1024;
/// The most header lines of a head. Together with [`MAX_HEAD`] this is more than any client sends.
const MAX_HEADERS: usize = 64;

/// The parts of a head that the routes use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// `HEAD` instead of `GET`: the same answer without its body.
    pub bodiless: bool,
    /// The target before the `?`.
    pub path: String,
    /// The target after the `?`.
    pub query: String,
    /// The `Host` header.
    pub host: String,
    /// The `Origin` header, which only browsers send.
    pub origin: Option<String>,
    /// What follows `Authorization: Bearer`.
    pub bearer: Option<String>,
}

/// Why a head gets no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The text of the answer.
    pub why: &'static str,
}

const fn refuse(status: u16, why: &'static str) -> Refusal {
    Refusal { status, why }
}

/// Parses the head at the beginning of `bytes`; `None` if it is not complete yet.
///
/// # Errors
/// A [`Refusal`] if it is not HTTP, too long, or asks for something that this endpoint does not do.
pub fn parse(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => {}
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Err(refuse(431, "the request head is too long"));
        }
        Err(_) => return Err(refuse(400, "this is not an HTTP/1.1 request")),
    }
    let bodiless = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Err(refuse(405, "only GET and HEAD are served")),
    };
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut head = Head {
        bodiless,
        path: path.to_owned(),
        query: query.to_owned(),
        ..Head::default()
    };
    let mut hosts = 0;
    for header in request.headers.iter() {
        let value = str::from_utf8(header.value).map(str::trim);
        let text = || value.map_err(|_| refuse(400, "a header is not text"));
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            match text()?.parse::<u64>() {
                Ok(0) => {}
                Ok(_) => return Err(refuse(413, "requests with a body are not served")),
                Err(_) => return Err(refuse(400, "Content-Length is not a number")),
            }
        } else if is("transfer-encoding") {
            return Err(refuse(413, "requests with a body are not served"));
        } else if is("host") {
            hosts += 1;
            text()?.clone_into(&mut head.host);
        } else if is("origin") {
            head.origin = Some(text()?.to_owned());
        } else if is("authorization") {
            let bearer = text()?
                .split_once(' ')
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            head.bearer = bearer.map(|(_, token)| token.trim().to_owned());
        }
    }
    if hosts == 1 {
        Ok(Some(head))
    } else {
        Err(refuse(400, "exactly one Host header is required"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(bytes: &[u8]) -> u16 {
        parse(bytes).unwrap_err().status
    }

    #[test]
    fn a_plain_request_is_understood() {
        let head =
            parse(b"GET /health?after=3 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nAuthorization: bearer abc\r\n\r\n");
        let head = head.unwrap().unwrap();
        assert_eq!((head.path.as_str(), head.query.as_str()), ("/health", "after=3"));
        assert_eq!(head.bearer.as_deref(), Some("abc"));
    }

    #[test]
    fn a_head_that_is_not_whole_is_waited_for_until_it_is_too_long() {
        let mut bytes = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ".to_vec();
        assert_eq!(parse(&bytes), Ok(None));
        bytes.resize(MAX_HEAD, b'a');
        assert_eq!(status(&bytes), 431);
    }

    #[test]
    fn what_the_endpoint_does_not_do_is_refused_by_its_proper_status() {
        assert_eq!(status(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400);
        assert_eq!(status(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
        assert_eq!(
            status(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n"),
            413
        );
        assert_eq!(
            status(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
            400
        );
        assert_eq!(
            status(b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
            413
        );
        assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status(b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), 400);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        assert_eq!(status(many.as_bytes()), 431);
    }

    const WHOLE: &[u8] =
        b"GET /readyz?after=3&wait_ms=5 HTTP/1.1\r\nHost: 127.0.0.1:8\r\nOrigin: http://a\r\n\
        Authorization: Bearer abc\r\nContent-Length: 0\r\nUser-Agent: a\r\n\r\n";

    /// Requests with some bytes replaced by others, so that most get as far as those.
    fn nearly_a_request() -> impl Strategy<Value = Vec<u8>> {
        let strokes = proptest::collection::vec((0..WHOLE.len(), any::<u8>()), 0..6);
        strokes.prop_map(|strokes| {
            let mut bytes = WHOLE.to_vec();
            for (at, byte) in strokes {
                bytes[at] = byte;
            }
            bytes
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_request_with_some_bytes_wrong_is_refused_or_understood(bytes in nearly_a_request()) {
            if let Err(refusal) = parse(&bytes) {
                prop_assert!((400..=431).contains(&refusal.status));
            }
        }

        #[test]
        fn a_head_is_the_same_in_whatever_pieces_it_comes(
            ends in proptest::collection::btree_set(1..WHOLE.len(), 0..8),
        ) {
            let mut read = Vec::new();
            for end in ends {
                read.extend_from_slice(&WHOLE[read.len()..end]);
                prop_assert_eq!(parse(&read), Ok(None), "after {} bytes", end);
            }
            read.extend_from_slice(&WHOLE[read.len()..]);
            let head = parse(&read).unwrap().unwrap();
            prop_assert_eq!((&*head.path, &*head.query), ("/readyz", "after=3&wait_ms=5"));
            prop_assert_eq!(head.bearer.as_deref(), Some("abc"));
        }
    }
}
