//! The key that tokens of guests are signed with, in a file that only the server's own user can read; and the random
//! bytes of new guests.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::protocol::chat::{GUEST_ID_BYTES, GUEST_KEY_BYTES, Guest, GuestKey};

/// The file's name in `server.data_dir`.
const FILE: &str = "guest.key";

/// Reads the key from the data directory. The first time it makes one, and the directory too where that is missing.
///
/// # Errors
/// What the file system says, naming the file; or that the file holds something else.
pub(crate) fn load(data_dir: &Path) -> io::Result<GuestKey> {
    let path = data_dir.join(FILE);
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(data_dir, &path).and_then(|()| fs::read(&path))
        }
        result => result,
    };
    let bytes = bytes.map_err(|error| {
        io::Error::new(error.kind(), format!("the key of guests, {}: {error}", path.display()))
    })?;
    let length = bytes.len();
    bytes.try_into().map(GuestKey::new).map_err(|_| {
        let path = path.display();
        let reason = format!(
            "{path} must hold {GUEST_KEY_BYTES} bytes and has {length}; without it a new one is made and guests get \
             new ids"
        );
        io::Error::new(io::ErrorKind::InvalidData, reason)
    })
}

/// A guest that there was never before.
///
/// # Errors
/// Whatever keeps the system from giving random bytes.
pub(crate) fn new_guest() -> io::Result<Guest> {
    random::<GUEST_ID_BYTES>().map(Guest::new)
}

/// Makes the file whole or not at all. Of two who do so at once one is first, and its key is the key.
fn create(data_dir: &Path, path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let fresh = data_dir.join(format!("{FILE}.{:016x}", u64::from_ne_bytes(random()?)));
    let written = write(&fresh, &random()?).and_then(|()| match fs::hard_link(&fresh, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(data_dir)?.sync_all(),
    });
    written.and(fs::remove_file(&fresh))
}

fn write(path: &Path, key: &[u8; GUEST_KEY_BYTES]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use super::*;

    /// A directory that does not exist yet, and is gone again after the test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("uproar-guest-key-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn the_key_is_made_once_and_for_the_server_alone() {
        let scratch = Scratch::new("once");
        let guest = new_guest().expect("random bytes");
        let token = load(&scratch.0).expect("a key is made").token(guest);
        assert_eq!(mode(&scratch.0), 0o700);
        assert_eq!(mode(&scratch.0.join(FILE)), 0o600);
        assert_eq!(load(&scratch.0).expect("the key is read").verify(&token), Some(guest));
        assert_eq!(
            fs::read_dir(&scratch.0).expect("a directory").count(),
            1,
            "nothing else is left"
        );
    }

    #[test]
    fn of_keys_made_at_once_one_is_the_key() {
        let scratch = Scratch::new("race");
        let guest = new_guest().expect("random bytes");
        let tokens: Vec<_> = std::thread::scope(|scope| {
            let make = || load(&scratch.0).expect("a key").token(guest);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    }

    #[test]
    fn what_is_no_key_is_refused_by_name() {
        let scratch = Scratch::new("short");
        fs::create_dir_all(&scratch.0).expect("a directory");
        fs::write(scratch.0.join(FILE), "short").expect("a file");
        let error = load(&scratch.0).expect_err("it is too short").to_string();
        assert!(error.contains("guest.key must hold 32 bytes and has 5"), "{error}");
        fs::remove_file(scratch.0.join(FILE)).expect("it is removed");
        fs::create_dir(scratch.0.join(FILE)).expect("a directory");
        let error = load(&scratch.0).expect_err("it is a directory").to_string();
        assert!(error.contains("guest.key: "), "{error}");
    }

    #[test]
    fn no_two_guests_are_alike() {
        assert_ne!(new_guest().expect("random bytes"), new_guest().expect("random bytes"));
    }
}
