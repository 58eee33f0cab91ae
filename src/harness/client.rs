//! Queries an agent about its app.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent as Http;

use crate::file_url::text_path;
use crate::process::{Liveness, program};
use crate::runtime_dir::read_ours;
use crate::wire::{DISCOVERY_FILE, DISCOVERY_SCHEMA, Discovery, Health, ProcessId};

/// A larger answer does not come from an agent of livegui.
const MAX_ANSWER: u64 = 4 * 1024 * 1024;

/// A connection to the agent of one process.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    discovery: Discovery,
}

/// Why there was no answer.
#[derive(Debug)]
pub struct NoAnswer {
    /// The reason, for people.
    pub why: String,
    /// Whether the time was up. Then the agent may merely be late.
    pub is_late: bool,
}

impl NoAnswer {
    const fn for_good(why: String) -> Self {
        Self { why, is_late: false }
    }
}

/// What a long poll waits for, beside any other news: all that is given here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The main loop has beaten after the request came.
    pub next_beat: bool,
    /// The canary has completed a check with a higher number.
    pub look_after: Option<u64>,
}

impl Proof {
    fn query(self) -> String {
        let beat = if self.next_beat { "&beat_after=now" } else { "" };
        let look = self.look_after.map(|look| format!("&look_after={look}"));
        format!("{beat}{}", look.unwrap_or_default())
    }
}

impl Client {
    /// The agent whose discovery file is in `folder`; `None` as long as there is none.
    #[must_use]
    pub fn find(folder: &Path) -> Option<Self> {
        Self::read(&folder.join(DISCOVERY_FILE)).ok()
    }

    /// Every agent of a run with a discovery file in `folder`: the first that started, and those of helpers.
    #[must_use]
    pub fn all(folder: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default();
            let of_pid = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse::<u32>().ok())
                .is_some();
            name == DISCOVERY_FILE || (of_pid && path.extension().is_some_and(|kind| kind == "json"))
        });
        files.filter_map(|path| Self::read(&path).ok()).collect()
    }

    /// The agent with this discovery file, which must be a regular file of this user, follow our schema, and have
    /// an address of this machine.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(file: &Path) -> io::Result<Self> {
        let discovery: Discovery = serde_json::from_slice(&read_ours(file)?)?;
        let refused = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        if discovery.schema != DISCOVERY_SCHEMA {
            return Err(refused(format!("its schema is not {DISCOVERY_SCHEMA}")));
        }
        let address = discovery.url.strip_prefix("http://");
        let address = address.and_then(|address| address.parse::<SocketAddr>().ok());
        if !address.is_some_and(|address| address.ip().is_loopback()) {
            return Err(refused("its url is no address of this machine's own".to_owned()));
        }
        Ok(Self::new(discovery))
    }

    /// The agent that `discovery` names.
    #[must_use]
    pub fn new(discovery: Discovery) -> Self {
        // No proxy, whatever the environment says, because the endpoint is on the loopback address.
        let config = Http::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None);
        Self {
            http: config.build().new_agent(),
            discovery,
        }
    }

    /// The address of its agent.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.discovery.url
    }

    /// The token of its agent.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.discovery.token
    }

    /// The app's process.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.discovery.pid
    }

    /// The process by an identity that is never reused, if the agent gives it.
    #[must_use]
    pub const fn process(&self) -> Option<&ProcessId> {
        self.discovery.process.as_ref()
    }

    /// Whether its process is known to be gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        // A client made from an address alone knows no process.
        self.pid() != 0 && self.discovery.process_id().liveness() == Liveness::Gone
    }

    /// Whether the process is known to run a different program now than the one that started this agent.
    #[must_use]
    pub fn was_replaced(&self) -> bool {
        let runs = |process: &ProcessId| process.liveness() == Liveness::Alive;
        self.process().is_some_and(runs)
            && self
                .discovery
                .program
                .is_some_and(|before| program(self.pid()).is_some_and(|now| now != before))
    }

    /// The path of its heartbeat log, if it keeps one.
    #[must_use]
    pub fn journal(&self) -> Option<PathBuf> {
        self.discovery.journal.as_deref().map(text_path)
    }

    /// Random, new for every agent.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.discovery.instance
    }

    /// The agent's current answer.
    ///
    /// # Errors
    /// [`NoAnswer`] says why there was none, as far as that is known.
    pub fn health(&self, within: Duration) -> Result<Health, NoAnswer> {
        self.get("/health", within)
    }

    /// The agent's answer as soon as its `seq` is no longer `after`, or after `wait`.
    ///
    /// # Errors
    /// As [`Client::health`].
    pub fn next_health(&self, after: u64, wait: Duration, within: Duration) -> Result<Health, NoAnswer> {
        let instance = &self.discovery.instance;
        let target = format!(
            "/health?after={after}&instance={instance}&wait_ms={}",
            wait.as_millis()
        );
        self.get(&target, wait + within)
    }

    /// The agent's answer as soon as there is this proof, or anything else changed, or after `wait`.
    ///
    /// # Errors
    /// As [`Client::health`].
    pub fn health_after(&self, proof: Proof, wait: Duration, within: Duration) -> Result<Health, NoAnswer> {
        let instance = &self.discovery.instance;
        let target = format!(
            "/health?instance={instance}&wait_ms={}{}",
            wait.as_millis(),
            proof.query()
        );
        self.get(&target, wait + within)
    }

    fn get(&self, target: &str, within: Duration) -> Result<Health, NoAnswer> {
        let request = self.http.get(format!("{}{target}", self.discovery.url));
        let request = request.header("Authorization", format!("Bearer {}", self.discovery.token));
        let answer = request.config().timeout_global(Some(within)).build().call();
        let failed = |error: ureq::Error| NoAnswer {
            why: in_words(&error, within),
            is_late: kind_of(&error) == io::ErrorKind::TimedOut,
        };
        let mut answer = answer.map_err(failed)?;
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(failed)?;
        let status = answer.status().as_u16();
        let health: Health = serde_json::from_slice(&body).map_err(|_| {
            NoAnswer::for_good(format!(
                "what answers there is no agent of livegui (its HTTP status is {status})"
            ))
        })?;
        let known = &self.discovery.instance;
        if known.is_empty() || *known == health.instance {
            return Ok(health);
        }
        let why = "the agent of another app answers there".to_owned();
        Err(NoAnswer::for_good(why))
    }
}

fn kind_of(error: &ureq::Error) -> io::ErrorKind {
    let kind = match error {
        ureq::Error::Timeout(_) => io::ErrorKind::TimedOut,
        ureq::Error::Io(error) => error.kind(),
        ureq::Error::ConnectionFailed => io::ErrorKind::ConnectionRefused,
        _ => io::ErrorKind::Other,
    };
    if kind == io::ErrorKind::WouldBlock {
        io::ErrorKind::TimedOut
    } else {
        kind
    }
}

/// Why there was no answer, for people who know nothing of HTTP clients.
fn in_words(error: &ureq::Error, within: Duration) -> String {
    match kind_of(error) {
        io::ErrorKind::TimedOut => {
            format!("no answer within {:.1} s", within.as_secs_f64())
        }
        io::ErrorKind::ConnectionRefused => "nobody listens on its agent's port".to_owned(),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => "its agent closed the connection before it answered".to_owned(),
        io::ErrorKind::PermissionDenied => "this process may not connect to its agent's port".to_owned(),
        _ => "its agent gave no answer that could be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    fn ask(answer: Option<&'static [u8]>) -> String {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let discovery = Discovery {
            url: format!("http://{}", server.local_addr().unwrap()),
            ..Discovery::default()
        };
        let thread = answer.map(|answer| {
            let server = server.try_clone().unwrap();
            thread::spawn(move || {
                let (mut connection, _) = server.accept().unwrap();
                let _ = connection.read(&mut [0; 4096]);
                let _ = connection.write_all(answer);
            })
        });
        if thread.is_some() {
            drop(server);
        }
        let NoAnswer { why, is_late } = Client::new(discovery)
            .health(Duration::from_millis(300))
            .unwrap_err();
        assert_eq!(is_late, answer.is_none(), "{why}");
        if let Some(thread) = thread {
            thread.join().unwrap();
        }
        why
    }

    #[test]
    fn a_beat_is_asked_for_after_the_request_and_a_look_after_its_number() {
        let query = |next_beat, look_after| {
            Proof {
                next_beat,
                look_after,
            }
            .query()
        };
        assert_eq!(query(true, Some(40)), "&beat_after=now&look_after=40");
        assert_eq!(query(true, None), "&beat_after=now");
        assert_eq!(query(false, Some(40)), "&look_after=40");
        assert_eq!(query(false, None), "");
    }

    #[test]
    fn no_word_of_the_http_client_is_told() {
        assert_eq!(ask(None), "no answer within 0.3 s", "it is never accepted");
        assert_eq!(
            ask(Some(b"")),
            "its agent closed the connection before it answered"
        );
        assert_eq!(
            ask(Some(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")),
            "what answers there is no agent of livegui (its HTTP status is 404)"
        );
        assert_eq!(
            ask(Some(b"SSH-2.0\r\n")),
            "its agent gave no answer that could be read"
        );
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let discovery = Discovery {
            url: format!("http://{closed}"),
            ..Discovery::default()
        };
        let no_answer = Client::new(discovery).health(Duration::from_secs(2)).unwrap_err();
        assert!(!no_answer.is_late);
        assert_eq!(no_answer.why, "nobody listens on its agent's port");
    }
}
