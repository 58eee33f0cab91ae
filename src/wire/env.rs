//! Environment variables that the test side sets for an app or a pytest.

/// `0` makes the agent inert.
pub const SWITCH: &str = "LIVEGUI";
/// Where the discovery file goes.
pub const RUN_DIR: &str = "LIVEGUI_RUN_DIR";
/// A fresh, empty folder for the app's own state.
pub const STATE_DIR: &str = "LIVEGUI_STATE_DIR";
/// The port that the app's hook server should listen on.
pub const HOOK_PORT: &str = "LIVEGUI_HOOK_PORT";
/// The process that drives the run, a `ProcessId` as JSON. When it is gone, the app or the pytest must end.
pub const PARENT: &str = "LIVEGUI_PARENT";
/// A file to which a pytest appends what it does, an `Event` a line. If a file of that name with `STOP_SUFFIX`
/// exists, it must end after the running test.
pub const EVENTS: &str = "LIVEGUI_EVENTS";
/// Set, and not empty, for processes that a followed pytest starts. So a pytest that one of its tests runs is not
/// followed.
pub const FOLLOWED: &str = "LIVEGUI_FOLLOWED";
/// A file with node ids, as a JSON list: the only tests that a followed pytest runs of those it collects.
pub const ONLY: &str = "LIVEGUI_ONLY";
/// Makes each Python that finds it watch for a main loop, in an unchanged app: `auto` or `true`.
pub const INJECT: &str = "LIVEGUI_INJECT";
/// The folder that livegui put at the head of `PYTHONPATH` for that.
pub const INJECT_PATH: &str = "LIVEGUI_INJECT_PATH";
/// The name of an unchanged app that is watched.
pub const INJECT_NAME: &str = "LIVEGUI_INJECT_NAME";
/// Set, and not empty, to print on standard error what is patched.
pub const INJECT_EXPLAIN: &str = "LIVEGUI_INJECT_EXPLAIN";
/// `1` for an unchanged app in which the work that packages give to pools counts too.
pub const INJECT_LIBRARY_POOLS: &str = "LIVEGUI_INJECT_LIBRARY_POOLS";
/// The process that `livegui exec` turns into the app, or on Windows its parent. Only it looks for a loop without a
/// toolkit before it starts a thread.
pub const INJECT_PID: &str = "LIVEGUI_INJECT_PID";
/// What `livegui exec --port` has set [`PORT`] to. A `livegui exec` that the app runs does not take it over.
pub const EXEC_PORT: &str = "LIVEGUI_EXEC_PORT";
/// What `livegui exec --run-dir` has set [`RUN_DIR`] to. A `livegui exec` that the app runs does not take it over.
pub const EXEC_RUN_DIR: &str = "LIVEGUI_EXEC_RUN_DIR";
/// The endpoint's port.
pub const PORT: &str = "LIVEGUI_PORT";
/// The endpoint's token.
pub const TOKEN: &str = "LIVEGUI_TOKEN";
/// How long the loop may go without a beat.
pub const STALL_AFTER_MS: &str = "LIVEGUI_STALL_AFTER_MS";
/// How long the first beat may take.
pub const STARTUP_MS: &str = "LIVEGUI_STARTUP_MS";
/// How long queued work may go without any being finished.
pub const EXECUTOR_STALL_MS: &str = "LIVEGUI_EXECUTOR_STALL_MS";
/// `degrade` makes a callback that raises degrade the app; `note` and `fail` concern only the test side.
pub const CALLBACK_ERRORS: &str = "LIVEGUI_CALLBACK_ERRORS";
/// Whether and where a journal is kept.
pub const JOURNAL: &str = "LIVEGUI_JOURNAL";
