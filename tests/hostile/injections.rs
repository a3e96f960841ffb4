//! Words that are a program somewhere else: SQL, a shell's, a page's, a template's. Wherever a peer can say something
//! they are words, come back as they were said, and what is kept stays whole.

use serde_json::json;

use crate::arena::{Arena, closed};
use crate::support::chat::ChatClient;
use crate::support::client::close_frame;
use crate::support::data_dir::DataDir;
use crate::support::server::binary;

const WORDS: [&str; 14] = [
    "'; drop table messages; --",
    "\"; delete from messages where 1=1; --",
    "' or '1'='1",
    "1); attach database '/tmp/x' as x; --",
    "%' escape '!' union select 1,2,3 --",
    "%_%",
    "; reboot; $(reboot) `reboot` | reboot & reboot",
    "../../../../etc/passwd",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "javascript:alert(1)//\\u0027",
    "${jndi:ldap://127.0.0.1:1/x} {{7*7}} #{7*7} <%= 7*7 %>",
    "*)(uid=*))(|(uid=*",
    "{\"$gt\": \"\"}",
    "%n%n%n%s%s%s",
];

#[test]
fn words_of_other_languages_are_words() {
    let data = DataDir::new();
    let path = data.path().to_str().expect("a path").to_owned();
    let settings = [("UPROAR_SERVER__DATA_DIR", &*path)];
    let mut arena = Arena::new(&settings);
    arena.case("in every place of a message", &[closed("peer", 2)], |server| {
        let mut mallory = ChatClient::connect(server.address, WORDS[0]);
        assert_eq!(mallory.welcome["name"], WORDS[0]);
        for words in WORDS {
            let body = json!({ "text": words, words: [words] });
            mallory.join(words);
            mallory.say(words, &body);
            let message = mallory.await_type("message");
            assert_eq!((&message["room"], &message["body"]), (&json!(words), &body));
        }
        let mut reader = ChatClient::connect(server.address, WORDS[8]);
        for words in WORDS {
            let joined = reader.join(words);
            let messages = joined["messages"].as_array().expect("a list");
            let [message] = &messages[..] else { panic!("{words}: {joined}") };
            assert_eq!(message["body"], json!({ "text": words, words: [words] }));
            assert_eq!(message["from"]["name"], WORDS[0]);
        }
        for mut client in [mallory, reader] {
            client.client.write(&close_frame(1000));
            while client.client.next().opcode() != 8 {}
        }
    });
    let check = binary().args(["log", "check", "--data-dir", &path]).output();
    let output = check.expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(": ok"), "{said}");
    let rooms = said.lines().find_map(|line| line.trim().strip_prefix("rooms "));
    // Each of them, and the one of the innocent.
    assert_eq!(rooms.map(str::trim), Some(&*(WORDS.len() + 1).to_string()), "{said}");
}
