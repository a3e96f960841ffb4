//! An application made of the recipes: its files, PHP's own server for them, and what the test has to know of either kind.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hmac::{Hmac, Mac};
use rusqlite::Connection;
use sha2::Sha256;
use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::markdown;
use crate::support::server::Server;

/// Where the recipes think that PHP answers.
const DOCUMENTED: &str = "127.0.0.1:8000";

/// The database of plain PHP.
const DATABASE: &str = "shop.db";

/// In what the recipes are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Laravel,
}

/// What Uproar has a URL for.
#[derive(Clone, Copy)]
pub(crate) enum Hook {
    Connect,
    Publish,
    Events,
}

/// Runs until the test ends.
pub(crate) struct Application {
    pub(crate) kind: Kind,
    dir: TempDir,
    php: Child,
    pub(crate) address: SocketAddr,
    /// What both ends know: `UPROAR_CALLBACKS__SECRET` and `UPROAR_WEBHOOKS__SECRET`.
    pub(crate) secrets: [String; 2],
    key: String,
    /// What the configuration has of that key.
    entry: String,
}

/// Who is logged in at the application.
pub(crate) struct Visitor {
    /// The cookie of the session, as a browser sends it.
    pub(crate) cookie: String,
    /// The token of a page's forms, where the application has such.
    csrf: String,
}

impl Application {
    pub(crate) fn start(kind: Kind) -> Self {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let [callbacks, webhooks, key, entry] = agree(dir.path());
        write(kind, dir.path());
        let secrets = [callbacks, webhooks];
        let mut command = php(dir.path(), &secrets);
        prepare(kind, dir.path(), &secrets);
        let mut php = command
            .args(["-S", "127.0.0.1:0", "-t", "public"])
            .args((kind == Kind::Laravel).then_some("public/index.php"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("php runs");
        let mut lines = BufReader::new(php.stderr.take().expect("it is piped")).lines();
        let first = lines.next().expect("it says something").expect("text");
        let address = first.split("(http://").nth(1).and_then(|rest| rest.split(')').next());
        let address = address.and_then(|address| address.parse().ok()).expect("where it answers");
        // What it says of each request would fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { kind, dir, php, address, secrets, key, entry }
    }

    /// A server with the configuration of the recipes.
    pub(crate) fn server(&self) -> Server {
        let toml = markdown::blocks(self.kind.recipes(&markdown::read("docs/php.md")), "toml")
            .first()
            .expect("a configuration")
            .replace(DOCUMENTED, &self.address.to_string())
            .replace("shop:publish:HASH", &self.entry);
        fs::write(self.dir.path().join("uproar.toml"), toml).expect("it is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_uproar"));
        command.current_dir(self.dir.path()).envs([
            ("UPROAR_SERVER__LISTEN", "127.0.0.1:0"),
            ("UPROAR_SERVER__ADMIN_LISTEN", "127.0.0.1:0"),
            ("UPROAR_CALLBACKS__SECRET", &self.secrets[0]),
            ("UPROAR_WEBHOOKS__SECRET", &self.secrets[1]),
        ]);
        Server::spawn(command)
    }

    /// Logs somebody in: Alice, and with Laravel the user 1, who is called that.
    pub(crate) fn log_in(&self) -> Visitor {
        let path = if self.kind == Kind::Laravel { "/login/1" } else { "/login.php" };
        let (status, head, body) = self.ask("GET", path, &[], "");
        assert_eq!(status, 200, "{head}{body}");
        let name = if self.kind == Kind::Laravel { "laravel_session=" } else { "PHPSESSID=" };
        let mut cookies = head.lines().filter_map(|line| line.strip_prefix("Set-Cookie: "));
        let cookie = cookies.rfind(|cookie| cookie.starts_with(name));
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).expect("a session");
        Visitor { cookie: cookie.to_owned(), csrf: body }
    }

    /// Who is logged in, as Uproar is to know them.
    pub(crate) fn user(&self) -> &'static str {
        if self.kind == Kind::Laravel { "1" } else { "alice" }
    }

    /// What a page gets that asks for a token: status and text.
    pub(crate) fn fetch_token(&self, visitor: Option<&Visitor>) -> (u16, String) {
        let path = if self.kind == Kind::Laravel { "/uproar/token" } else { "/token.php" };
        let fields = visitor.map_or_else(Vec::new, |Visitor { cookie, csrf }| {
            vec![format!("Cookie: {cookie}"), format!("X-CSRF-TOKEN: {csrf}")]
        });
        let (status, _, body) = self.ask("POST", path, &fields, "");
        (status, body)
    }

    /// Has the application publish in the room team-a; what it prints.
    pub(crate) fn publish(&self, server: &Server) -> String {
        let mut command = php(self.dir.path(), &self.secrets);
        command.env("CHAT_URL", format!("http://{}", server.address)).env("CHAT_KEY", &self.key);
        match self.kind {
            Kind::Plain => command.arg("paid.php"),
            Kind::Laravel => command.args(["artisan", "uproar:say", "team-a", "Order 17 is paid"]),
        };
        let output = command.output().expect("php runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// How often what the application made of its events has this in it.
    pub(crate) fn heard(&self, needle: &str) -> usize {
        if self.kind == Kind::Laravel {
            let log = fs::read_to_string(self.dir.path().join("storage/logs/laravel.log"));
            let log = log.unwrap_or_default();
            return log.lines().filter(|l| l.contains(": said ") && l.contains(needle)).count();
        }
        let database = database(self.dir.path());
        let mut rows = database.prepare("select body from messages").expect("a table");
        let rows = rows.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.filter(|row| row.as_ref().expect("a text").contains(needle)).count()
    }

    /// What the application answers to that, signed so at that time.
    pub(crate) fn tell(&self, hook: Hook, body: &str, secret: &str, time: u64) -> u16 {
        let signature = format!("Uproar-Signature: t={time},v1={}", sign(secret, time, body));
        self.send(hook, &[signature], body)
    }

    /// What it answers to that with those fields.
    pub(crate) fn send(&self, hook: Hook, fields: &[String], body: &str) -> u16 {
        let path = match (self.kind, hook) {
            (Kind::Plain, Hook::Connect) => "/connect.php",
            (Kind::Plain, Hook::Publish) => "/may-say.php",
            (Kind::Plain, Hook::Events) => "/events.php",
            (Kind::Laravel, Hook::Connect) => "/api/uproar/connect",
            (Kind::Laravel, Hook::Publish) => "/api/uproar/publish",
            (Kind::Laravel, Hook::Events) => "/api/uproar/events",
        };
        self.ask("POST", path, fields, body).0
    }

    /// A request, and the status, the head and the body of its answer.
    fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[String],
        body: &str,
    ) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).expect("PHP accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Content-Type: application/json\r\n{fields}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("PHP takes it");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, head.replace("\r\n", "\n"), body.to_owned())
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.php.kill();
        let _ = self.php.wait();
    }
}

impl Kind {
    /// The part of the page that is about it.
    fn recipes(self, page: &str) -> &str {
        let (both, laravel) = page.split_once("\n## Laravel\n").expect("a chapter");
        let (_, plain) = both.split_once("\n## Plain PHP\n").expect("a chapter");
        if self == Self::Laravel { laravel } else { plain }
    }
}

/// Runs what the page says of secrets and keys: those of callbacks and webhooks, the key, and its entry.
fn agree(dir: &Path) -> [String; 4] {
    let page = markdown::read("docs/php.md");
    let program = Path::new(env!("CARGO_BIN_EXE_uproar")).parent().expect("a directory");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("a path"));
    let mut bash = Command::new("bash");
    bash.args(["-ec", markdown::blocks(&page, "sh")[0]]).current_dir(dir).env("PATH", path);
    let output = bash.output().expect("bash runs");
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<_> = said.lines().collect();
    let [callbacks, webhooks, _, key, _, entry] = lines[..] else { panic!("{said}") };
    [callbacks, webhooks, key, entry.trim_matches('"')].map(str::to_owned)
}

/// Writes what such an application has, and the recipes over it, each to the path in its second line.
fn write(kind: Kind, dir: &Path) {
    let own = if kind == Kind::Laravel { "tests/php/laravel" } else { "tests/php/plain" };
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(own);
    let copy = Command::new("cp").arg("-r").arg(own.join(".")).arg(dir).status();
    assert!(copy.expect("cp runs").success());
    let page = markdown::read("docs/php.md");
    let recipes = markdown::blocks(kind.recipes(&page), "php");
    assert!(recipes.len() >= 6, "recipes were found");
    for recipe in recipes {
        let path = recipe.strip_prefix("<?php\n// ").and_then(|rest| rest.lines().next());
        let path = dir.join(path.expect("a recipe says where it belongs"));
        fs::create_dir_all(path.parent().expect("a directory")).expect("it can be made");
        fs::write(path, recipe).expect("it is written");
    }
}

/// Makes what must be there before the first request.
fn prepare(kind: Kind, dir: &Path, secrets: &[String; 2]) {
    fs::create_dir(dir.join("sessions")).expect("a directory can be made");
    if kind == Kind::Plain {
        let page = markdown::read("docs/php.md");
        let tables = markdown::blocks(&page, "sql");
        return database(dir).execute_batch(tables[0]).expect("the tables are made");
    }
    let storage = ["framework/sessions", "framework/views", "framework/cache/data", "logs"];
    let storage = storage.map(|name| format!("storage/{name}"));
    for name in storage.iter().map(String::as_str).chain(["bootstrap/cache", "resources/views"]) {
        fs::create_dir_all(dir.join(name)).expect("a directory can be made");
    }
    fs::write(dir.join("database/database.sqlite"), "").expect("a file can be made");
    let migrated = php(dir, secrets).args(["artisan", "migrate", "--force"]).output();
    let migrated = migrated.expect("php runs");
    assert!(migrated.status.success(), "{migrated:?}");
}

/// PHP in the application's directory, with what it is to know. It shows its errors, as PHP does that nobody has told
/// otherwise, and with that answers 200 where a recipe does not see to it.
fn php(dir: &Path, secrets: &[String; 2]) -> Command {
    let mut command = Command::new("php");
    command.current_dir(dir).args(["-d", "display_errors=1"]);
    command.arg("-d").arg(format!("session.save_path={}", dir.join("sessions").display()));
    command.envs([
        ("APP_KEY", "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("UPROAR_CALLBACKS__SECRET", &secrets[0]),
        ("UPROAR_WEBHOOKS__SECRET", &secrets[1]),
    ]);
    command.env("CHAT_SECRET_FILE", dir.join("uproar.secret"));
    command.env("CHAT_DATABASE", format!("sqlite:{}", dir.join(DATABASE).display()));
    command
}

fn database(dir: &Path) -> Connection {
    Connection::open(dir.join(DATABASE)).expect("a database")
}

fn sign(secret: &str, time: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(format!("{time}.{body}").as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
