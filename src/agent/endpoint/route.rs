//! Which answer a head gets: a pure function of the request and of what is known.

use std::io::Cursor;
use std::time::Duration;

use subtle::ConstantTimeEq;
use tiny_http::{Header, Response, StatusCode};

use super::metrics;
use crate::health::Status;
use crate::http_head::{Head, Refusal};
use crate::wire::{self, Health};

/// How long a long poll waits by default.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);
/// The longest that it may wait; it can ask again.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A response with a complete body.
pub type Reply = Response<Cursor<Vec<u8>>>;

/// The configuration of the endpoint.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// The token for `/health`.
    pub token: String,
    /// The port, on the loopback address.
    pub port: u16,
}

/// What is known about the app right now.
pub trait HealthSource {
    /// Whether the monitor makes progress.
    fn is_alive(&self) -> bool;
    /// The status of the app.
    fn status(&self) -> Status;
    /// The complete health.
    fn health(&self) -> Health;
    /// The number of the latest snapshot, without fetching it.
    fn seq(&self) -> u64;
    /// The number of the main loop's beats.
    fn beats(&self) -> u64;
    /// The number of the last check by the canary whose findings are known.
    fn looked(&self) -> u64;
    /// Records whether somebody waits for the next beat, or for the next check by the canary.
    fn await_proof(&self, awaited: bool);
}

/// What a long poll has seen. It is answered as soon as there is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The number of the latest snapshot.
    pub seq: u64,
    /// The number of the latest beat, if the client waits for the next one.
    pub beats: Option<u64>,
    /// The number of the latest check by the canary, if the client waits for the next one. If it also waits for a
    /// beat, it waits for both.
    pub look: Option<u64>,
}

impl Seen {
    /// Whether there is something that it has not seen.
    pub fn is_stale(self, view: &impl HealthSource) -> bool {
        let has_proof = || {
            self.beats.is_none_or(|beats| view.beats() > beats)
                && self.look.is_none_or(|look| view.looked() > look)
        };
        self.seq != view.seq() || (self.awaits_proof() && has_proof())
    }

    /// Whether it waits for the next beat, or for the next check by the canary.
    pub const fn awaits_proof(self) -> bool {
        self.beats.is_some() || self.look.is_some()
    }
}

/// What to do with a request.
pub enum Answer {
    /// Send this.
    Now(Reply),
    /// Send [`health`] once `seen` is stale, or this much later.
    Wait {
        /// What the client has seen.
        seen: Seen,
        /// How long it is willing to wait.
        wait: Duration,
    },
}

/// The answer to a request.
pub fn route(head: &Head, site: &EndpointConfig, view: &impl HealthSource) -> Answer {
    match admit(head, site).and_then(|()| choose(head, site, view)) {
        Ok(answer) => answer,
        Err(refusal) => Answer::Now(refused(refusal)),
    }
}

/// The answer of `/health`: always with a body, and with a status that a probe understands.
pub fn health(view: &impl HealthSource) -> Reply {
    let health = view.health();
    let status = if health.status == wire::Status::Ok {
        200
    } else {
        503
    };
    // Serialising plain structs into memory cannot fail; even an empty body would be an answer.
    let mut body = serde_json::to_vec(&health).unwrap_or_default();
    body.push(b'\n');
    reply(status, "application/json", body)
}

/// The answer to a head that gets no route.
pub fn refused(refusal: Refusal) -> Reply {
    let mut response = reply(
        refusal.status,
        "text/plain; charset=utf-8",
        format!("{}\n", refusal.why).into_bytes(),
    );
    let extra = match refusal.status {
        401 => Header::from_bytes("WWW-Authenticate", "Bearer"),
        405 => Header::from_bytes("Allow", "GET, HEAD"),
        _ => return response,
    };
    if let Ok(header) = extra {
        response.add_header(header);
    }
    response
}

/// Refuses requests from a page in a browser: neither a name that resolves to the loopback address nor a script of
/// the page may reach us.
fn admit(head: &Head, site: &EndpointConfig) -> Result<(), Refusal> {
    let ours = |authority: &str| {
        authority.rsplit_once(':').is_some_and(|(name, port)| {
            (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")) && port == site.port.to_string()
        })
    };
    if !ours(&head.host) {
        return Err(Refusal {
            status: 403,
            why: "the Host header does not name this endpoint",
        });
    }
    let foreign = |origin: &String| !origin.strip_prefix("http://").is_some_and(ours);
    if head.origin.as_ref().is_some_and(foreign) {
        return Err(Refusal {
            status: 403,
            why: "requests from another origin are not served",
        });
    }
    Ok(())
}

fn choose(head: &Head, site: &EndpointConfig, view: &impl HealthSource) -> Result<Answer, Refusal> {
    match head.path.as_str() {
        "/livez" => {
            let alive = view.is_alive();
            Ok(Answer::Now(word(alive, if alive { "alive" } else { "dead" })))
        }
        "/readyz" => {
            let status = view.status();
            Ok(Answer::Now(word(
                status == Status::Ok,
                wire::Status::from(status).as_str(),
            )))
        }
        "/health" => {
            let query = Query(&head.query);
            admit_holder(head, &query, site)?;
            long_poll(&query, view)
        }
        "/metrics" => {
            admit_holder(head, &Query(&head.query), site)?;
            let text = metrics::render(&view.health());
            Ok(Answer::Now(reply(200, metrics::CONTENT_TYPE, text.into_bytes())))
        }
        _ => Err(Refusal {
            status: 404,
            why: "served are /livez, /readyz, /health and /metrics",
        }),
    }
}

/// Admits a request that has the token.
fn admit_holder(head: &Head, query: &Query<'_>, site: &EndpointConfig) -> Result<(), Refusal> {
    let token = head
        .bearer
        .as_deref()
        .or_else(|| query.get("token"))
        .unwrap_or_default();
    if bool::from(token.as_bytes().ct_eq(site.token.as_bytes())) {
        return Ok(());
    }
    let why = "a token is required, as Authorization: Bearer or ?token=; it is in the discovery file";
    Err(Refusal { status: 401, why })
}

fn long_poll(query: &Query<'_>, view: &impl HealthSource) -> Result<Answer, Refusal> {
    let number = |name: &str, why: &'static str| match query.get(name) {
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| Refusal { status: 400, why }),
        None => Ok(None),
    };
    let after = number("after", "after= takes a whole number: the seq last seen")?;
    let beats = if query.get("beat_after") == Some("now") {
        // In this order, so that a loop which beats after the count knows that it is asked.
        view.await_proof(true);
        Some(view.beats())
    } else {
        number(
            "beat_after",
            "beat_after= takes a whole number, the beats last seen, or now",
        )?
    };
    let look = number(
        "look_after",
        "look_after= takes a whole number: the looks last seen",
    )?;
    let wait = number("wait_ms", "wait_ms= takes milliseconds, a whole number")?;
    if after.is_none() && beats.is_none() && look.is_none() {
        return Ok(Answer::Now(health(view)));
    }
    let now = view.health();
    let same = query
        .get("instance")
        .is_none_or(|instance| instance == now.instance);
    let seen = Seen {
        seq: after.unwrap_or(now.seq),
        beats,
        look,
    };
    if !same || seen.is_stale(view) {
        return Ok(Answer::Now(health(view)));
    }
    let wait = wait.map_or(DEFAULT_WAIT, Duration::from_millis).min(LONGEST_WAIT);
    Ok(Answer::Wait { seen, wait })
}

fn word(good: bool, word: &str) -> Reply {
    reply(
        if good { 200 } else { 503 },
        "text/plain; charset=utf-8",
        format!("{word}\n").into_bytes(),
    )
}

fn reply(status: u16, kind: &str, body: Vec<u8>) -> Reply {
    let length = body.len();
    let fixed = [
        ("Content-Type", kind),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
    ];
    let headers = fixed
        .into_iter()
        .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
        .collect();
    let response = Response::new(StatusCode(status), headers, Cursor::new(body), Some(length), None);
    response.with_chunked_threshold(usize::MAX)
}

/// A query string. It needs no unescaping, because tokens, instances and numbers are plain.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}
