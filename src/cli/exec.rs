//! `livegui exec`: runs an unchanged app with an agent inside it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::{Exit, Host};
use crate::command_error::{Error, Result};
use crate::injection::{Injection, Mode, inherited, obstacle, pythonpath, with_interpreter};
use crate::text::Print;
use crate::wire::env;

/// The text after the options in the help.
const MORE: &str = "The command starts any Python app: livegui exec -- python app.py. It takes the place of livegui \
    (on Windows it is a child process), with the same exit status. The first of its processes that enters a main loop \
    gets the agent. `livegui top` and `livegui health` find it. If the app calls livegui.start() itself, it is left \
    alone, unless --always is given.";

/// What to run.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub struct ExecArgs {
    /// The app's name in reports [default: its script's name]
    #[arg(long)]
    name: Option<String>,
    /// Print on standard error what is patched, and what happens to it
    #[arg(long)]
    explain: bool,
    /// Watch the app even if it starts an agent itself
    #[arg(long)]
    always: bool,
    /// Report also what pools refuse to the code of packages, not only to the app's own
    #[arg(long)]
    library_pools: bool,
    /// Folder for the discovery file and the heartbeat log [default: the user's runtime folder, no log]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Port of the health endpoint on 127.0.0.1 [default: any free one]
    #[arg(long)]
    port: Option<u16>,
    /// The app's command line
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Runs the app. On POSIX this returns only if the app cannot be run.
pub fn run(arguments: &ExecArgs, err: &mut dyn Print, host: &Host<'_>) -> Result<Exit> {
    let carrier = host.carrier.as_deref();
    let carrier =
        carrier.ok_or_else(|| io::Error::other("the folder of the livegui package is not known"))?;
    let Some((program, rest)) = arguments.command.split_first() else {
        return Ok(Exit::Usage); // clap does not allow this
    };
    let removed = inherited(|name| std::env::var_os(name));
    let variables = variables(arguments, carrier)?;
    check(arguments, &variables, &removed, host)?;
    let words = arguments.command.iter();
    let words = words.map(|word| word.to_string_lossy().into_owned()).collect();
    if let Some(remark) = obstacle(&with_interpreter(words, Path::new("."))) {
        writeln!(err, "livegui: the app may not be watched: {remark}")?;
    }
    let mut command = Command::new(program);
    for name in removed {
        command.env_remove(name);
    }
    command.args(rest).envs(variables);
    become_it(command).map_err(|error| not_run(program, &error).into())
}

/// What the options set in the app's environment.
fn variables(arguments: &ExecArgs, carrier: &Path) -> Result<Vec<(OsString, OsString)>> {
    let injection = Injection {
        mode: if arguments.always { Mode::True } else { Mode::Auto },
        name: arguments.name.as_deref(),
        explain: arguments.explain,
        library_pools: arguments.library_pools,
        pid: Some(std::process::id()),
        carrier,
    };
    let mut variables = injection.environment(pythonpath(&[]).as_deref());
    if let Some(folder) = &arguments.run_dir {
        let unusable = |error| {
            let shown = folder.display();
            Error::BadValue(format!(
                "--run-dir {shown} cannot be used as a folder: {error}\n  name one that exists, or that livegui can make"
            ))
        };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let folder = std::path::absolute(folder).map_err(unusable)?;
        variables.push((env::RUN_DIR.into(), folder.clone().into_os_string()));
        variables.push((env::EXEC_RUN_DIR.into(), folder.into_os_string()));
    }
    if let Some(port) = arguments.port {
        variables.push((env::PORT.into(), port.to_string().into()));
        variables.push((env::EXEC_PORT.into(), port.to_string().into()));
    }
    Ok(variables)
}

/// Refuses what the agent would refuse, because then the app would run without one.
fn check(
    arguments: &ExecArgs,
    variables: &[(OsString, OsString)],
    removed: &[&str],
    host: &Host<'_>,
) -> Result<()> {
    if let Some(name) = &arguments.name {
        (host.accepts)(name, &|_| None)
            .map_err(|error| Error::BadValue(format!("--name cannot be used: {error}")))?;
    }
    let value = |name: &str| {
        let given = variables.iter().find(|(given, _)| given.as_os_str() == name);
        let found = given.map(|(_, value)| value.clone());
        let inherited = || std::env::var_os(name).filter(|_| !removed.contains(&name));
        found.or_else(inherited)?.into_string().ok()
    };
    let remedy = "set this environment variable to such a value, or remove it";
    (host.accepts)("app", &value).map_err(|error| Error::BadValue(format!("{error}\n  {remedy}")))
}

#[cfg(unix)]
fn become_it(mut command: Command) -> io::Result<Exit> {
    use std::os::unix::process::CommandExt;

    Err(command.exec())
}

/// Windows has no exec. The app ends with this process, and this process with the app's status.
#[cfg(windows)]
fn become_it(command: Command) -> io::Result<Exit> {
    let status = crate::harness::run_in_our_place(command)?;
    Ok(Exit::Of(status.code().unwrap_or(1)))
}

fn not_run(program: &OsStr, error: &io::Error) -> io::Error {
    let program = program.to_string_lossy();
    let mut text = format!("{program} could not be run: {error}");
    if program.ends_with(".py") {
        text = format!("{text}\n  a script needs its interpreter: livegui exec -- python {program}");
    }
    io::Error::other(text)
}
