//! `uproar token`: a token for development and scripts, or a secret to sign tokens with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;

use super::Flags;
use crate::config::Config;
use crate::gate::auth::{NewToken, read_secret, secret_of};

/// The bytes of a new secret.
const NEW_SECRET_BYTES: usize = 32;

/// Makes a token that the server would take: signed with the first secret among its keys.
#[derive(Args, Clone, Debug)]
pub struct TokenCommand {
    /// The user's id
    #[arg(long, required_unless_present = "new_secret", value_name = "ID")]
    user: Option<String>,
    /// The display name; the id where there is none
    #[arg(long)]
    name: Option<String>,
    /// Rights in the rooms that match a pattern: join, send, signal, history and members, as in 'team-*:join,send';
    /// may be given several times. Without any, and without --direct, the token says nothing of what it grants, which
    /// is up to auth.without_grant
    #[arg(long = "room", value_name = "PATTERN:RIGHTS", value_parser = parse_room)]
    rooms: Vec<(String, Vec<String>)>,
    /// Grants conversations with one other user
    #[arg(long)]
    direct: bool,
    /// How long the token holds, such as 90s, 15m, 1h or 30days
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    ttl: Duration,
    /// A file with the secret, in place of what the configuration has
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The configuration file; "uproar.toml" in the working directory is read by itself where it exists
    #[arg(long, value_name = "FILE", conflicts_with = "secret_file")]
    config: Option<PathBuf>,
    /// Print a new secret instead: 32 random bytes as text
    #[arg(long, exclusive = true)]
    new_secret: bool,
}

impl TokenCommand {
    /// The token, or the secret, with a line break.
    ///
    /// # Errors
    /// There is no secret, or the server would not take the token.
    pub fn run(self) -> anyhow::Result<String> {
        if self.new_secret {
            return new_secret();
        }
        let config = match &self.secret_file {
            Some(_) => Config::default(),
            None => {
                let layers = Flags::of_file(self.config.clone()).layers();
                Config::load(&layers).map_err(|problems| {
                    anyhow::anyhow!("the configuration is refused:\n{problems}")
                })?
            }
        };
        let key = config.auth.keys.iter().find_map(|key| Some((key, secret_of(key)?)));
        let (key, secret) = match (&self.secret_file, key) {
            (Some(file), _) => {
                (None, read_secret(file).with_context(|| file.display().to_string())?)
            }
            (None, Some((key, secret))) => (Some(key), secret.context("the secret of auth.keys")?),
            (None, None) => anyhow::bail!(
                "auth.keys has no key with a secret to sign with; --secret-file names one"
            ),
        };
        let token = NewToken {
            iss: key.and_then(|key| key.issuer.clone()),
            aud: Some(config.auth.audience).filter(|audience| !audience.is_empty()),
            ..NewToken::default()
        };
        let id = key.and_then(|key| key.id.clone());
        let token = self.describe(token).sign(&secret, id.as_deref())?;
        Ok(format!("{token}\n"))
    }

    /// Who it is for and what it grants.
    fn describe(self, token: NewToken) -> NewToken {
        let mut rooms: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (pattern, rights) in self.rooms {
            rooms.entry(pattern).or_default().extend(rights);
        }
        let token = NewToken {
            sub: self.user.unwrap_or_default(),
            name: self.name,
            rooms: (!rooms.is_empty()).then_some(rooms),
            direct: self.direct.then_some(true),
            ..token
        };
        token.lasting(self.ttl.as_secs())
    }
}

fn new_secret() -> anyhow::Result<String> {
    let mut bytes = [0; NEW_SECRET_BYTES];
    getrandom::fill(&mut bytes).context("no random bytes")?;
    Ok(format!("{}\n", URL_SAFE_NO_PAD.encode(bytes)))
}

/// What rights are called, nobody's pattern ends with.
fn parse_room(text: &str) -> Result<(String, Vec<String>), String> {
    let (pattern, rights) = text
        .rsplit_once(':')
        .ok_or("must be a pattern, a colon and rights, such as 'team-*:join,send'")?;
    Ok((pattern.to_owned(), rights.split(',').map(|right| right.trim().to_owned()).collect()))
}
