//! A real browser: headless Chromium with a profile of its own, driven over its DevTools protocol.

use super::deadline::wait_for;
use super::tab::{Connection, Tab};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, io, process};

/// One browser; it and its profile are gone when it goes out of scope.
pub(crate) struct Chromium {
    child: Child,
    directory: PathBuf,
    port: u16,
    connection: Connection,
}

impl Chromium {
    /// Starts the browser. Fails, rather than skips, where none is installed.
    pub(crate) fn start() -> Self {
        Self::start_in(new_directory())
    }

    /// Starts one whose owner has told it to trust the authority whose certificate is in `file`.
    pub(crate) fn start_trusting(file: &Path) -> Self {
        let directory = new_directory();
        let database = directory.join(".pki/nssdb");
        fs::create_dir_all(&database).expect("the test's directory is writable");
        let database = format!("sql:{}", database.display());
        let certutil = |arguments: &[&str]| {
            let status = Command::new("certutil").args(arguments).args(["-d", &database]).status();
            let status = status.expect("certutil is there: install the package `libnss3-tools`");
            assert!(status.success(), "certutil {arguments:?}: {status}");
        };
        certutil(&["-N", "--empty-password"]);
        let file = file.to_str().expect("a path is text");
        certutil(&["-A", "-n", "tests", "-t", "C,,", "-i", file]);
        Self::start_in(directory)
    }

    fn start_in(directory: PathBuf) -> Self {
        let program = installed();
        let mut child = spawn(&program, &directory);
        let (port, path) = wait_for(
            &mut child,
            |child| {
                let ended = child.try_wait().expect("a child has a status");
                assert!(
                    ended.is_none(),
                    "chromium ended at its start, {ended:?}: {}",
                    stderr(&directory)
                );
                devtools_address(&directory)
            },
            |_| format!("chromium opens no DevTools port: {}", stderr(&directory)),
        );
        let connection = Connection::open(port, &path);
        Self { child, directory, port, connection }
    }

    /// Opens `url` in a window of its own: a hidden tab would be throttled.
    pub(crate) fn open(&mut self, url: &str) -> Tab {
        self.open_target(&json!({"url": url, "newWindow": true}))
    }

    /// Opens `url` as somebody else would: in a window that shares no storage with any other.
    pub(crate) fn open_apart(&mut self, url: &str) -> Tab {
        let context = self.connection.call("Target.createBrowserContext", &json!({}));
        let context = &context["browserContextId"];
        self.open_target(&json!({"url": url, "newWindow": true, "browserContextId": context}))
    }

    fn open_target(&mut self, params: &Value) -> Tab {
        let target = self.connection.call("Target.createTarget", params);
        let id = target["targetId"].as_str().expect("a target has an id");
        Tab::new(Connection::open(self.port, &format!("/devtools/page/{id}")))
    }

    /// Writes a page beside the profile; answers with its `file:` address.
    pub(crate) fn save(&self, name: &str, html: &str) -> String {
        let path = self.directory.join(name);
        fs::write(&path, html).expect("the test's directory is writable");
        format!("file://{}", path.display())
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its zygote and renderers share its group.
        let group = Pid::from_child(&self.child);
        kill_process_group(group, Signal::KILL).expect("the browser can be killed");
        self.child.wait().expect("a killed browser ends");
        // A renderer may still be writing; what is left lies in the build directory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn spawn(program: &Path, directory: &Path) -> Child {
    let log = fs::File::create(directory.join("stderr")).expect("the test's directory is writable");
    let started = Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args(["--disable-background-timer-throttling", "--disable-renderer-backgrounding"])
        .args(["--disable-dev-shm-usage", "--remote-debugging-port=0"])
        .arg(format!("--user-data-dir={}", directory.join("profile").display()))
        // Where it looks for the authorities that its owner trusts.
        .env("HOME", directory)
        .stdout(process::Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn();
    started.expect("an installed browser starts")
}

/// The browser's path, under the names that distributions give it.
fn installed() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.exists());
    found.expect("this test drives a real browser and found none: install the package `chromium` (apt install chromium)")
}

/// Chromium writes its port and path into its profile as soon as it listens.
fn devtools_address(directory: &Path) -> Option<(u16, String)> {
    let written = fs::read_to_string(directory.join("profile/DevToolsActivePort")).ok()?;
    let (port, path) = written.split_once('\n')?;
    Some((port.parse().ok()?, path.trim_end().to_owned()))
        .filter(|(_, path)| path.starts_with("/devtools/"))
}

fn stderr(directory: &Path) -> String {
    fs::read_to_string(directory.join("stderr")).unwrap_or_default()
}

fn new_directory() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("browser-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            panic!("{}: {error}", directory.display())
        }
        _ => fs::create_dir_all(&directory).expect("the build directory is writable"),
    }
    directory
}
