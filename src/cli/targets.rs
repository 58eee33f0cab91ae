//! `livegui targets`: tells Prometheus where the agents of this user's apps are.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{Exit, Host};
use crate::files::replace;
use crate::harness::Client;
use crate::runtime_dir::{RuntimeDir, create_new_private};
use crate::text::Print;

/// The file for Prometheus' `file_sd_configs`.
const TARGETS: &str = "targets.json";
/// The file for Prometheus' `authorization.credentials_file`.
const TOKEN: &str = "token";
/// How long to wait for an app's name.
const WITHIN: Duration = Duration::from_secs(1);
/// How often to check for Ctrl-C.
const STEP: Duration = Duration::from_millis(200);

/// Where to write, and which token.
#[derive(Debug, Args)]
pub struct TargetsArgs {
    /// The folder to write targets.json and token into; it must exist
    folder: PathBuf,
    /// The token that the apps share; without it, the one that all of them have
    #[arg(long, env = "LIVEGUI_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Instead of writing one token file, put each target's token into its URL as a parameter; Prometheus then
    /// shows it to everyone who can see its pages
    #[arg(long)]
    token_in_url: bool,
    /// Write again every so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
}

/// A running agent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    address: String,
    pid: u32,
    app: Option<String>,
    token: String,
}

/// One entry of a `file_sd` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// What to write.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    groups: Vec<Group>,
    token: Option<String>,
    /// Apps that are left out because their token is a different one.
    others: Vec<String>,
}

/// Writes once, or repeatedly.
pub fn run(
    arguments: &TargetsArgs,
    out: &mut dyn Print,
    err: &mut dyn Print,
    host: &mut Host<'_>,
) -> io::Result<Exit> {
    let mut said = String::new();
    loop {
        let written = write(arguments)?;
        let text = summary(&written);
        if text != said {
            out.one_line(&text)?;
            for app in &written.others {
                err.one_line(&left_out(app))?;
            }
            said = text;
        }
        let Some(seconds) = arguments.every else {
            let all = written.others.is_empty();
            return Ok(if all { Exit::Ok } else { Exit::Unwell });
        };
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            if !(host.go_on)() {
                return Ok(Exit::Interrupted);
            }
            thread::sleep(STEP);
        }
    }
}

fn summary(written: &Written) -> String {
    let names = written.groups.iter().map(|group| {
        let name = group.labels.get("app").map_or("?", String::as_str);
        format!("{name} ({})", group.targets.concat())
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    format!("{} targets: {}", names.len(), names.join(", "))
}

fn left_out(app: &str) -> String {
    format!(
        "{app} has a token of its own and is left out: start the apps with the same LIVEGUI_TOKEN and give it \
         as --token, or use --token-in-url"
    )
}

fn write(arguments: &TargetsArgs) -> io::Result<Written> {
    let file = arguments.folder.join(TARGETS);
    let earlier: Vec<Group> = fs::read(&file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let written = choose(
        found(&earlier)?,
        arguments.token.as_deref(),
        arguments.token_in_url,
    );
    if let Some(token) = &written.token {
        put(&arguments.folder, TOKEN, token.as_bytes())?;
    }
    put(
        &arguments.folder,
        TARGETS,
        &serde_json::to_vec_pretty(&written.groups)?,
    )?;
    Ok(written)
}

/// Every app of this user whose process runs. An app that does not answer is a target too, so that Prometheus
/// notices.
fn found(earlier: &[Group]) -> io::Result<Vec<Found>> {
    let folder = match RuntimeDir::open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    folder.sweep();
    let clients = folder
        .discovery_files()
        .filter_map(|file| Client::read(&file).ok());
    let clients = clients.filter(|client| !client.is_gone());
    Ok(clients.map(|client| look_at(&client, earlier)).collect())
}

fn look_at(client: &Client, earlier: &[Group]) -> Found {
    let address = client.url().trim_start_matches("http://").to_owned();
    let pid = client.pid();
    let known = || {
        let same = |group: &&Group| {
            group.targets.contains(&address) && group.labels.get("pid") == Some(&pid.to_string())
        };
        earlier.iter().find(same)?.labels.get("app").cloned()
    };
    let app = known().or_else(|| client.health(WITHIN).ok().map(|health| health.app));
    Found {
        address,
        pid,
        app,
        token: client.token().to_owned(),
    }
}

/// Decides which apps become targets; pure.
fn choose(found: Vec<Found>, token: Option<&str>, in_url: bool) -> Written {
    let shared = token
        .map(ToOwned::to_owned)
        .or_else(|| found.first().map(|app| app.token.clone()));
    let alike = token.is_some() || found.iter().all(|app| Some(&app.token) == shared.as_ref());
    let mut written = Written {
        groups: Vec::new(),
        token: shared.filter(|_| alike && !in_url),
        others: Vec::new(),
    };
    for app in found {
        if !in_url && written.token.as_ref() != Some(&app.token) {
            written.others.push(format!(
                "{} (pid {})",
                app.app.as_deref().unwrap_or("an app"),
                app.pid
            ));
            continue;
        }
        let mut labels = BTreeMap::from([("pid".to_owned(), app.pid.to_string())]);
        labels.extend(app.app.map(|name| ("app".to_owned(), name)));
        if in_url {
            labels.insert("__param_token".to_owned(), app.token);
        }
        written.groups.push(Group {
            targets: vec![app.address],
            labels,
        });
    }
    written.groups.sort_by(|a, b| a.targets.cmp(&b.targets));
    written
}

/// Writes a file as a whole. If the file already has this content it stays untouched, with any permissions that it
/// was given.
fn put(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    let draft = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let done = create_new_private(&draft).and_then(|mut file| {
        file.write_all(content)?;
        if let Ok(there) = fs::metadata(&path) {
            file.set_permissions(there.permissions())?;
        }
        replace(&draft, &path)
    });
    done.map_err(|error| {
        let _ = fs::remove_file(&draft);
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(port: u32, token: &str) -> Found {
        Found {
            address: format!("127.0.0.1:{port}"),
            pid: port,
            app: Some("sloppy".to_owned()),
            token: token.to_owned(),
        }
    }

    #[test]
    fn apps_that_share_a_token_are_targets_and_the_token_is_told_apart_from_them() {
        let written = choose(vec![app(2, "same"), app(1, "same")], None, false);
        assert_eq!(written.token.as_deref(), Some("same"));
        let addresses: Vec<_> = written.groups.iter().flat_map(|group| &group.targets).collect();
        assert_eq!(addresses, ["127.0.0.1:1", "127.0.0.1:2"]);
        assert!(!serde_json::to_string(&written.groups).unwrap().contains("same"));
    }

    #[test]
    fn an_app_with_another_token_is_left_out_and_named_so_that_its_token_goes_nowhere_else() {
        let written = choose(vec![app(1, "same"), app(2, "own")], Some("same"), false);
        assert_eq!(written.groups.len(), 1);
        assert_eq!(written.others, ["sloppy (pid 2)"]);
        let nobody = choose(vec![app(1, "one"), app(2, "two")], None, false);
        assert_eq!(
            (nobody.token, nobody.groups.len(), nobody.others.len()),
            (None, 0, 2)
        );
    }

    #[test]
    fn each_has_its_own_token_if_it_is_to_be_in_the_url() {
        let written = choose(vec![app(1, "one"), app(2, "two")], None, true);
        let tokens: Vec<_> = written
            .groups
            .iter()
            .map(|group| &group.labels["__param_token"])
            .collect();
        assert_eq!(tokens, ["one", "two"]);
        assert_eq!(written.token, None);
    }
}
