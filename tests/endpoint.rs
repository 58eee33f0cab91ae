//! The endpoint of a real agent, over real sockets, asked by those who mean it no good.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use livegui::agent::{Agent, Arguments, Settings};
#[cfg(target_os = "linux")]
use livegui::harness::Client;
use livegui::health::Event;
use livegui::wire::{Health, Status};

const TOKEN: &str = "let-me-in-please";

/// These tests count this process's threads and use up its descriptors: one at a time.
static ALONE: Mutex<()> = Mutex::new(());

struct App {
    agent: Agent,
    _folder: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl App {
    fn start() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        let given = Arguments {
            token: Some(TOKEN.into()),
            run_dir: Some(folder.path().into()),
            ..Arguments::default()
        };
        let settings = Settings::resolve("app", given, |_| None).unwrap().unwrap();
        let app = Self {
            agent: Agent::start(&settings).unwrap(),
            _folder: folder,
            _alone: alone,
        };
        app.agent.beat();
        app.settle();
        app
    }

    /// Waits until everything told so far has been judged.
    fn settle(&self) {
        drop(self.agent.health());
    }

    fn port(&self) -> u16 {
        self.agent
            .url()
            .unwrap()
            .rsplit_once(':')
            .unwrap()
            .1
            .parse()
            .unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// Sends bytes and returns everything that comes back until the connection closes.
    fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The other side may have closed before everything was sent; what it said is still there.
        let _ = stream.write_all(bytes);
        read_all(&mut stream)
    }

    fn get(&self, target: &str) -> (u16, String) {
        let host = format!("127.0.0.1:{}", self.port());
        split(&self.exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()))
    }

    fn health(&self) -> Health {
        serde_json::from_str(&self.get(&format!("/health?token={TOKEN}")).1).unwrap()
    }

    /// The app is untouched and the endpoint answers.
    fn assert_unharmed(&self) {
        assert_eq!(self.get("/readyz"), (200, "ok\n".into()));
        assert_eq!(self.get("/livez"), (200, "alive\n".into()));
    }
}

fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the connection was left open: {error}"),
        }
    }
    String::from_utf8(answer).unwrap()
}

fn split(answer: &str) -> (u16, String) {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {answer:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[cfg(target_os = "linux")]
/// The agent's threads: other tests' own come and go.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("livegui-")).count()
}

#[test]
fn readyz_follows_the_app_and_shows_no_detail() {
    let app = App::start();
    assert_eq!(app.get("/readyz"), (200, "ok\n".into()));
    app.agent.tell(Event::MainLoopCrashed {
        message: "secret".into(),
        traceback: None,
    });
    app.settle();
    assert_eq!(app.get("/readyz"), (503, "degraded\n".into()));
    assert_eq!(app.get("/livez").0, 200, "the agent itself is well");
}

#[test]
fn health_shows_the_body_whatever_the_status() {
    let app = App::start();
    assert_eq!(app.get(&format!("/health?token={TOKEN}")).0, 200);
    app.agent.tell(Event::MainLoopCrashed {
        message: "E: x".into(),
        traceback: Some("at here".into()),
    });
    app.settle();
    let (status, body) = app.get(&format!("/health?token={TOKEN}"));
    let health: Health = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 503);
    assert_eq!(health.reasons[0].line(), "main_loop_crashed: E: x");
    assert_eq!(health.reasons[0].detail.traceback.as_deref(), Some("at here"));
    assert_eq!(health.pid, std::process::id());
}

#[test]
fn without_the_token_there_is_nothing_but_a_word_on_how_to_get_in() {
    let app = App::start();
    let host = app.port();
    for target in [
        "/health",
        "/health?token=",
        "/health?token=let-me-in-pleasf",
        "/health?token=let-me-in-please2",
    ] {
        let (status, body) = app.get(target);
        assert_eq!(status, 401, "{target}");
        assert!(body.contains("discovery file") && !body.contains(TOKEN));
    }
    let bearer =
        format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{host}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    assert_eq!(split(&app.exchange(bearer.as_bytes())).0, 200);
}

#[test]
fn a_name_that_a_browser_made_resolve_to_us_gets_nothing() {
    let app = App::start();
    let port = app.port();
    let ask = |headers: String| {
        split(&app.exchange(format!("GET /readyz HTTP/1.1\r\n{headers}\r\n\r\n").as_bytes())).0
    };
    assert_eq!(ask(format!("Host: evil.example:{port}")), 403);
    assert_eq!(ask("Host: 127.0.0.1:1".into()), 403);
    assert_eq!(
        ask(format!("Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example")),
        403
    );
    assert_eq!(ask(format!("Host: 127.0.0.1:{port}\r\nOrigin: null")), 403);
    assert_eq!(
        ask(format!(
            "Host: LOCALHOST:{port}\r\nOrigin: http://localhost:{port}"
        )),
        200
    );
}

#[test]
fn nothing_can_be_changed_from_outside() {
    let app = App::start();
    let port = app.port();
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"] {
        let answer =
            app.exchange(format!("{method} /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes());
        assert_eq!(split(&answer).0, 405, "{method}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let app = App::start();
    let answer =
        app.exchange(format!("HEAD /readyz HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", app.port()).as_bytes());
    assert!(answer.contains("Content-Length: 3"), "{answer}");
    assert_eq!(split(&answer), (200, String::new()));
}

#[test]
fn bad_input_is_refused_and_harms_nobody() {
    let app = App::start();
    let host = format!("Host: 127.0.0.1:{}", app.port());
    let endless = format!("GET / HTTP/1.1\r\n{host}\r\nX: {}", "a".repeat(1_000_000));
    assert_eq!(split(&app.exchange(endless.as_bytes())).0, 431);
    let many = format!("GET / HTTP/1.1\r\n{host}\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert_eq!(split(&app.exchange(many.as_bytes())).0, 431);
    let huge = format!("GET / HTTP/1.1\r\n{host}\r\nContent-Length: 999999999999\r\n\r\n");
    assert_eq!(split(&app.exchange(huge.as_bytes())).0, 413);
    let body = format!(
        "GET / HTTP/1.1\r\n{host}\r\nContent-Length: 100000\r\n\r\n{}",
        "x".repeat(100_000)
    );
    assert_eq!(
        split(&app.exchange(body.as_bytes())).0,
        413,
        "and the answer is not torn out of the client's hands"
    );
    let noise: Vec<u8> = (0..4096_u32)
        .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap())
        .collect();
    assert_eq!(split(&app.exchange(&noise)).0, 400);
    assert_eq!(app.get("/../../etc/passwd").0, 404);
    assert_eq!(app.get(&format!("/health?token={TOKEN}&after=-1")).0, 400);
    assert_eq!(
        app.get(&format!("/health?token={TOKEN}&after=1&wait_ms=x")).0,
        400
    );
    app.assert_unharmed();
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let app = App::start();
    let mut silent = app.connect();
    let mut slow = app.connect();
    slow.write_all(b"GET / HT").unwrap();
    assert_eq!(split(&read_all(&mut slow)).0, 408);
    assert_eq!(read_all(&mut silent), "");
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_half_open_connections_cost_no_thread_and_leave_room() {
    let app = App::start();
    let half_open: Vec<_> = (0..1000)
        .map(|number| {
            let mut stream = app.connect();
            let _ = stream.write_all(b"GET /readyz HTTP/1.1\r\nX-Slow: "); // it may be closed already
            if number % 100 == 0 {
                app.assert_unharmed();
            }
            stream
        })
        .collect();
    app.assert_unharmed();
    assert!(threads() <= 3, "the monitor, the endpoint and the journal");
    drop(half_open);
    app.assert_unharmed();
}

#[test]
fn a_long_poll_is_answered_at_the_change_at_once_if_stale_and_when_its_time_is_up() {
    let app = App::start();
    let health = app.health();
    let poll = |after: u64, instance: &str, wait_ms: u64| {
        let (_, body) = app.get(&format!(
            "/health?token={TOKEN}&after={after}&instance={instance}&wait_ms={wait_ms}"
        ));
        serde_json::from_str::<Health>(&body).unwrap()
    };
    assert_eq!(
        poll(health.seq, &health.instance, 10).seq,
        health.seq,
        "its time is up"
    );
    assert_eq!(
        poll(health.seq - 1, &health.instance, 60_000).seq,
        health.seq,
        "stale"
    );
    assert_eq!(
        poll(health.seq, "another", 60_000).seq,
        health.seq,
        "of another instance"
    );
    let woken = std::thread::scope(|scope| {
        let waiter = scope.spawn(|| poll(health.seq, &health.instance, 60_000));
        app.agent.degrade("full", "no room", true).unwrap();
        waiter.join().unwrap()
    });
    assert_eq!(woken.reasons[0].line(), "full: no room");
}

#[test]
fn long_polls_beyond_their_number_are_told_so() {
    let app = App::start();
    let health = app.health();
    let request = format!(
        "GET /health?token={TOKEN}&after={}&wait_ms=60000 HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
        health.seq,
        app.port()
    );
    let waiting: Vec<_> = (0..32)
        .map(|_| {
            let mut stream = app.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Taken in one after the other: once this is answered, those before it wait.
    app.assert_unharmed();
    assert_eq!(split(&app.exchange(request.as_bytes())).0, 429);
    app.agent.degrade("full", "no room", true).unwrap();
    for mut stream in waiting {
        assert_eq!(split(&read_all(&mut stream)).0, 503);
    }
}

#[test]
fn a_client_that_hangs_up_frees_its_place() {
    let app = App::start();
    let health = app.health();
    let target = format!("/health?token={TOKEN}&after={}&wait_ms=60000", health.seq);
    for _ in 0..200 {
        let mut stream = app.connect();
        let request = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", app.port());
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    app.assert_unharmed();
}

#[test]
fn a_held_port_is_refused_by_its_number() {
    let app = App::start();
    let given = Arguments {
        port: Some(app.port()),
        ..Arguments::default()
    };
    let settings = Settings::resolve("app", given, |_| None).unwrap().unwrap();
    let error = Agent::start(&settings).err().unwrap().to_string();
    assert!(error.contains(&format!("127.0.0.1:{}", app.port())), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn starting_and_stopping_leaves_no_thread_descriptor_port_or_file() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    drop(App::start()); // whatever is made once and kept
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let given = Arguments {
        run_dir: Some(folder.path().into()),
        ..Arguments::default()
    };
    let settings = Settings::resolve("app", given, |_| None).unwrap().unwrap();
    let (threads_before, descriptors_before) = (threads(), descriptors());
    for _ in 0..1000 {
        let agent = Agent::start(&settings).unwrap();
        agent.beat();
        agent.stop();
        agent.stop();
        agent.beat();
    }
    // A thread that was joined takes a moment to leave the system's table.
    let deadline = Instant::now() + Duration::from_secs(10);
    while threads() > threads_before {
        assert!(Instant::now() < deadline, "{} threads", threads());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(descriptors(), descriptors_before);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["heartbeat.jsonl"]);
    drop(alone);
}

#[test]
fn metrics_are_for_whoever_has_the_token() {
    let app = App::start();
    assert_eq!(app.get("/metrics").0, 401);
    app.agent.degrade("disk_full", "no \"room\"\n", true).unwrap();
    app.settle();
    let (status, text) = app.get(&format!("/metrics?token={TOKEN}"));
    assert_eq!(status, 200);
    for line in [
        "livegui_status{status=\"degraded\"} 1",
        "livegui_status{status=\"ok\"} 0",
        "livegui_reason{code=\"disk_full\",component=\"app\"} 1",
        "livegui_beats_total 1",
        "livegui_observer_gaps_total 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
    assert!(text.ends_with("# EOF\n"));
}

/// Uses up every descriptor of this process, asks, and gives them back.
#[test]
#[cfg(target_os = "linux")]
fn without_descriptors_it_still_answers_one_after_the_other_and_recovers() {
    let app = App::start();
    // Connected before there is nothing left, so that only the other side lacks descriptors.
    let request = format!("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", app.port());
    let sockets: Vec<_> = (0..8)
        .map(|_| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap())
        .collect();
    let mut hoard = Vec::new();
    let exhausted = loop {
        match std::fs::File::open("/dev/null") {
            Ok(file) => hoard.push(file),
            Err(error) => break error,
        }
    };
    assert_eq!(exhausted.raw_os_error(), Some(24), "{exhausted}");
    for socket in sockets {
        drop(socket); // one descriptor, for our own end of the connection
        // The other side may be quicker to take that one; then it is about to give back another.
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut stream = loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, app.port())) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(split(&read_all(&mut stream)), (200, "ok\n".into()));
        drop(stream);
        // Ours is hoarded again; the one that the other side frees is its own to have.
        hoard.extend(std::fs::File::open("/dev/null"));
    }
    drop(hoard);
    app.assert_unharmed();
}

/// What it says of the main loop's beats.
fn beats_of(body: &str) -> u64 {
    serde_json::from_str::<Health>(body)
        .unwrap()
        .checks
        .main_loop
        .beats
}

#[test]
fn a_poll_for_a_beat_is_answered_by_the_next_beat_and_by_nothing_before_it() {
    let app = App::start();
    let target =
        |wait_ms: u64, after: u64| format!("/health?token={TOKEN}&beat_after={after}&wait_ms={wait_ms}");
    let beats = app.health().checks.main_loop.beats;
    let began = Instant::now();
    let (_, body) = app.get(&target(120, beats));
    assert_eq!(beats_of(&body), beats, "nothing beat");
    assert!(began.elapsed() >= Duration::from_millis(120));

    std::thread::scope(|scope| {
        let asked = scope.spawn(|| app.get(&target(60_000, beats)));
        while app.agent.question().is_none() {
            std::thread::yield_now();
        }
        // A beat in the very instant in which the monitor asks for it may be missed; the one after is not.
        while !asked.is_finished() {
            app.agent.beat();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(beats_of(&asked.join().unwrap().1) > beats);
    });
    let (_, body) = app.get(&target(60_000, beats));
    assert!(
        beats_of(&body) > beats,
        "one that has already come is answered at once"
    );
}

#[test]
fn a_poll_for_a_beat_after_now_is_not_answered_by_one_that_the_client_has_not_seen() {
    let app = App::start();
    app.agent.beat();
    let target = |wait_ms: u64| format!("/health?token={TOKEN}&beat_after=now&wait_ms={wait_ms}");
    let began = Instant::now();
    let (_, body) = app.get(&target(120));
    assert!(began.elapsed() >= Duration::from_millis(120));
    let beats = beats_of(&body);

    std::thread::scope(|scope| {
        let asked = scope.spawn(|| app.get(&target(60_000)));
        while app.agent.question().is_none() {
            std::thread::yield_now();
        }
        app.agent.beat_unless_asked(None);
        assert_eq!(
            app.health().checks.main_loop.beats,
            beats,
            "it knows of no question"
        );
        app.agent.beat_unless_asked(app.agent.question());
        assert!(app.health().checks.main_loop.beats > beats);
        while !asked.is_finished() {
            app.agent.beat();
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(beats_of(&asked.join().unwrap().1) > beats);
    });
    let refused = format!("/health?token={TOKEN}&beat_after=then&wait_ms=1");
    assert_eq!(app.get(&refused).0, 400);
}

#[test]
fn a_poll_for_a_beat_is_also_answered_by_a_crash_and_ends_when_its_client_goes() {
    let app = App::start();
    let beats = app.health().checks.main_loop.beats;
    let mut gone = app.connect();
    let request = format!(
        "GET /health?token={TOKEN}&beat_after={beats} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n",
        app.port()
    );
    gone.write_all(request.as_bytes()).unwrap();
    while app.agent.question().is_none() {
        std::thread::yield_now();
    }
    drop(gone);
    while app.agent.question().is_some() {
        std::thread::yield_now();
    }
    std::thread::scope(|scope| {
        let asked =
            scope.spawn(|| app.get(&format!("/health?token={TOKEN}&beat_after={beats}&wait_ms=60000")));
        while app.agent.question().is_none() {
            std::thread::yield_now();
        }
        app.agent.tell(Event::MainLoopCrashed {
            message: "RuntimeError: boom".into(),
            traceback: None,
        });
        let (status, body) = asked.join().unwrap();
        assert_eq!(status, 503);
        assert!(body.contains("main_loop_crashed"), "{body}");
    });
}

/// An app's canary: `look` is what it finds in each check. It ends with this value, so that a test that fails ends.
struct Canary<'scope> {
    agent: &'scope Agent,
    is_over: Arc<AtomicBool>,
}

impl<'scope> Canary<'scope> {
    fn start(
        scope: &'scope Scope<'scope, '_>,
        agent: &'scope Agent,
        look: impl Fn() + Send + 'scope,
    ) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        scope.spawn(move || {
            while !seen.load(Ordering::SeqCst) {
                agent.tick();
                look();
                agent.looked();
                agent.wait_for_question(Duration::from_secs(5));
            }
        });
        Self { agent, is_over }
    }
}

impl Drop for Canary<'_> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.agent.end_wait();
    }
}

/// Asks until it is answered by a look, and not by something else that changed, such as the canary's first tick.
fn next_look(app: &App, looks: u64, also: &str) -> Health {
    loop {
        let target = format!("/health?token={TOKEN}&look_after={looks}{also}&wait_ms=60000");
        let health: Health = serde_json::from_str(&app.get(&target).1).unwrap();
        if health.checks.interpreter.looked > looks {
            return health;
        }
    }
}

#[test]
fn a_poll_for_a_look_wakes_the_canary_and_has_what_it_found() {
    let app = App::start();
    app.agent
        .watch(Event::ThreadWatched {
            name: "worker".into(),
        })
        .unwrap();
    app.settle();
    let has_ended = AtomicBool::new(false);
    let look = || {
        if has_ended.load(Ordering::SeqCst) {
            app.agent.tell(Event::ThreadEnded {
                name: "worker".into(),
                why: None,
                traceback: None,
            });
        }
    };
    std::thread::scope(|scope| {
        let _canary = Canary::start(scope, &app.agent, look);
        let began = Instant::now();
        for _ in 0..20 {
            next_look(&app, app.health().checks.interpreter.looks, "");
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it sleeps for five seconds each time, unless it is woken"
        );
        has_ended.store(true, Ordering::SeqCst);
        let health = next_look(&app, app.health().checks.interpreter.looks, "");
        assert_eq!(health.status, Status::Degraded);
        assert_eq!(health.reasons[0].code, "thread_died");
    });
}

#[test]
fn a_poll_for_a_beat_and_a_look_waits_for_both() {
    let app = App::start();
    let beats = app.health().checks.main_loop.beats;
    app.agent.beat();
    let target = format!("/health?token={TOKEN}&beat_after={beats}&look_after=0&wait_ms=100");
    let health: Health = serde_json::from_str(&app.get(&target).1).unwrap();
    assert!(health.checks.main_loop.beats > beats);
    assert_eq!(health.checks.interpreter.looked, 0, "its time was up");
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| next_look(&app, 0, &format!("&beat_after={beats}")));
        let _canary = Canary::start(scope, &app.agent, || ());
        let health = asked.join().unwrap();
        assert!(health.checks.interpreter.looked > 0);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_heartbeat_log_is_found_in_a_folder_whose_name_is_no_text() {
    use std::os::unix::ffi::OsStrExt;

    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join(std::ffi::OsStr::from_bytes(b"no text \xff"));
    std::fs::create_dir(&run_dir).unwrap();
    let given = Arguments {
        run_dir: Some(run_dir.clone()),
        ..Arguments::default()
    };
    let settings = Settings::resolve("app", given, |_| None).unwrap().unwrap();
    let agent = Agent::start(&settings).unwrap();
    let log = Client::find(&run_dir).unwrap().journal().unwrap();
    assert_eq!(log.parent(), Some(&*run_dir));
    agent.stop();
    assert!(log.is_file());
}
