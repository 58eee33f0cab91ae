//! Serves the report of a run in progress, on the loopback address. The page asks for changes, and the answer comes
//! when there is one. Connections, heads and waits are bounded; only GET is allowed, and only with the token.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use crate::http_head::{self, Head, MAX_HEAD};
use crate::report::{self, Report, Setting};
use crate::text::{Print, hex};

/// How often to read the records again.
const READ_EVERY: Duration = Duration::from_millis(500);
/// How long a request waits for a change before it gets an empty answer.
const WAIT_AT_MOST: Duration = Duration::from_secs(20);
/// How long a client may take to send a head, and to read an answer.
const HEAD_WITHIN: Duration = Duration::from_secs(2);
const READ_WITHIN: Duration = Duration::from_secs(10);
/// Connections at once; each has a thread.
const MAX_CONNECTIONS: usize = 16;
/// How often to check whether the command is to end.
const STEP: Duration = Duration::from_millis(50);

/// What is served.
#[derive(Debug, Default)]
struct Shown {
    /// Counts changes, from 1.
    seq: u64,
    report: Report,
    json: String,
}

struct Site {
    token: String,
    host: String,
    shown: Mutex<Shown>,
    changed: Condvar,
    connections: AtomicUsize,
}

/// Serves until `go_on` returns `false`. Calls `began` with the URL as soon as it can be opened.
pub fn serve(
    folder: &Path,
    port: u16,
    out: &mut dyn Print,
    began: &mut dyn FnMut(&str) -> io::Result<()>,
    go_on: &mut dyn FnMut() -> bool,
) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("port {port}: {error}; leave it out for any that is free"),
        )
    })?;
    let address = listener.local_addr()?;
    let mut token = [0; 16];
    getrandom::fill(&mut token).map_err(io::Error::other)?;
    let site = Arc::new(Site {
        token: hex(&token),
        host: address.to_string(),
        shown: Mutex::default(),
        changed: Condvar::new(),
        connections: AtomicUsize::new(0),
    });
    site.show(read(folder)?);
    let accepting = Arc::clone(&site);
    thread::Builder::new()
        .name("livegui-serve".to_owned())
        .spawn(move || accept(&listener, &accepting))?;
    let url = format!("http://{address}/?token={}", site.token);
    writeln!(out, "{url}\nCtrl-C ends it")?;
    out.flush()?;
    began(&url)?;
    let mut due = Instant::now() + READ_EVERY;
    while go_on() && !out.is_broken() {
        thread::sleep(STEP);
        if Instant::now() >= due {
            // The folder may be disappearing just now. Then keep showing the last report.
            if let Ok(report) = read(folder) {
                site.show(report);
            }
            due = Instant::now() + READ_EVERY;
        }
    }
    Ok(())
}

fn read(folder: &Path) -> io::Result<Report> {
    let mut report = report::build(&report::read(folder).map_err(io::Error::other)?);
    // A page from a server cannot link to files on the machine.
    let processes = report.groups.iter_mut().flat_map(|group| &mut group.processes);
    processes.for_each(|process| process.files.clear());
    let tests = report.tests.iter_mut();
    tests.for_each(|test| test.pictures.retain(|picture| picture.starts_with("data:")));
    Ok(report)
}

impl Site {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, report: Report) {
        let json = report::json(&report);
        let mut shown = self.shown();
        if shown.json != json {
            *shown = Shown {
                seq: shown.seq + 1,
                report,
                json,
            };
            drop(shown);
            self.changed.notify_all();
        }
    }

    fn answer(&self, head: &Head) -> Answer {
        if head.host != self.host {
            return Answer::text(403, "this is not the address that is served");
        }
        if head
            .origin
            .as_ref()
            .is_some_and(|origin| *origin != format!("http://{}", self.host))
        {
            return Answer::text(403, "another site's pages are not served");
        }
        let parameter = |name: &str| {
            let mut pairs = head.query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
        };
        let given = parameter("token").unwrap_or_default();
        if !bool::from(given.as_bytes().ct_eq(self.token.as_bytes())) {
            return Answer::text(
                401,
                "the token is missing or wrong: open the URL that livegui report --serve printed",
            );
        }
        match head.path.as_str() {
            "/" => {
                let ask = format!("/data?token={}", self.token);
                let page = report::page(&self.shown().report, &Setting::Live { ask: &ask });
                Answer {
                    status: 200,
                    kind: "text/html; charset=utf-8",
                    seq: 0,
                    body: page,
                }
            }
            "/data" => self.data(
                parameter("after")
                    .and_then(|after| after.parse().ok())
                    .unwrap_or_default(),
            ),
            _ => Answer::text(404, "there is no such page"),
        }
    }

    fn data(&self, after: u64) -> Answer {
        let waited = self
            .changed
            .wait_timeout_while(self.shown(), WAIT_AT_MOST, |shown| shown.seq == after);
        let (shown, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if shown.seq == after {
            return Answer {
                status: 204,
                kind: "application/json",
                seq: shown.seq,
                body: String::new(),
            };
        }
        Answer {
            status: 200,
            kind: "application/json",
            seq: shown.seq,
            body: shown.json.clone(),
        }
    }
}

struct Answer {
    status: u16,
    kind: &'static str,
    seq: u64,
    body: String,
}

impl Answer {
    fn text(status: u16, what: &str) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            seq: 0,
            body: format!("{what}\n"),
        }
    }

    fn write(&self, to: &mut TcpStream, bodiless: bool) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {} \r\nContent-Type: {}\r\nContent-Length: {}\r\nX-Livegui-Seq: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: DENY\r\nConnection: close\r\n\r\n",
            self.status,
            self.kind,
            self.body.len(),
            self.seq
        );
        to.write_all(head.as_bytes())?;
        if bodiless {
            Ok(())
        } else {
            to.write_all(self.body.as_bytes())
        }
    }
}

fn accept(listener: &TcpListener, site: &Arc<Site>) {
    loop {
        let Ok((mut stream, _)) = listener.accept() else {
            thread::sleep(STEP); // no descriptor is free, for example
            continue;
        };
        if site.connections.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTIONS {
            site.connections.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.set_write_timeout(Some(HEAD_WITHIN));
            let _ = Answer::text(503, "too many connections").write(&mut stream, false);
            continue;
        }
        let serving = Arc::clone(site);
        let thread = thread::Builder::new()
            .name("livegui-serve-one".to_owned())
            .spawn(move || {
                let _ = one(&mut stream, &serving);
                serving.connections.fetch_sub(1, Ordering::SeqCst);
            });
        if thread.is_err() {
            site.connections.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

fn one(stream: &mut TcpStream, site: &Site) -> io::Result<()> {
    stream.set_write_timeout(Some(READ_WITHIN))?;
    let deadline = Instant::now() + HEAD_WITHIN;
    let mut bytes = Vec::new();
    let mut part = [0; 2048];
    let head = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || bytes.len() > MAX_HEAD {
            return Answer::text(408, "the request head did not come in time").write(stream, false);
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut part)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&part[..read]);
        match http_head::parse(&bytes) {
            Ok(Some(head)) => break head,
            Ok(None) => {}
            Err(refusal) => return Answer::text(refusal.status, refusal.why).write(stream, false),
        }
    };
    site.answer(&head).write(stream, head.bodiless)
}

/// Parses the port of `--serve`; 0 is any free port.
pub fn parse_port(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| format!("expected a port, 0 to {}", u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn site() -> Site {
        Site {
            token: "right".to_owned(),
            host: SocketAddr::from((Ipv4Addr::LOCALHOST, 4000)).to_string(),
            shown: Mutex::default(),
            changed: Condvar::new(),
            connections: AtomicUsize::new(0),
        }
    }

    fn head(path: &str, query: &str) -> Head {
        let (path, query) = (path.to_owned(), query.to_owned());
        Head {
            path,
            query,
            host: "127.0.0.1:4000".to_owned(),
            ..Head::default()
        }
    }

    #[test]
    fn who_has_no_token_or_comes_from_elsewhere_is_not_let_in() {
        let site = site();
        let status = |head: &Head| site.answer(head).status;
        assert_eq!(status(&head("/", "")), 401);
        assert_eq!(status(&head("/data", "token=wrong")), 401);
        assert_eq!(
            status(&Head {
                host: "evil.example".to_owned(),
                ..head("/", "token=right")
            }),
            403
        );
        let foreign = Head {
            origin: Some("http://evil.example".to_owned()),
            ..head("/", "token=right")
        };
        assert_eq!(status(&foreign), 403);
        assert_eq!(status(&head("/", "token=right")), 200);
        assert_eq!(status(&head("/run.json", "token=right")), 404);
    }

    #[test]
    fn what_is_new_is_told_at_once() {
        let site = site();
        site.show(Report::default());
        let first = site.answer(&head("/data", "token=right&after=0"));
        assert_eq!((first.status, first.seq), (200, 1));
        let run = "another".to_owned();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| site.answer(&head("/data", "token=right&after=1")));
            site.show(Report {
                run,
                ..Report::default()
            });
            let second = waiting.join().unwrap();
            assert_eq!((second.status, second.seq), (200, 2));
            assert!(second.body.contains("another"));
        });
    }
}
