//! One tab of the browser, used as a person would: looked at, typed into, its keys pressed.

use super::deadline::wait_for;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// How long the browser may take to answer one call.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A page in the browser.
pub(crate) struct Tab {
    connection: Connection,
}

impl Tab {
    pub(crate) fn new(mut connection: Connection) -> Self {
        // Several pages are in use at once; each behaves as the one in front.
        connection.call("Emulation.setFocusEmulationEnabled", &json!({"enabled": true}));
        Self { connection }
    }

    /// The value of a JavaScript expression in the page; a promise is awaited.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        self.try_eval(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let probe = format!("Boolean({expression})");
        wait_for(
            self,
            |tab| (tab.try_eval(&probe).ok()? == true).then_some(()),
            |tab| {
                format!(
                    "{expression}, on a page that says:\n{}",
                    tab.eval("document.body.innerText")
                )
            },
        );
    }

    /// Fails while the tab is between two pages, and has no place to evaluate anything.
    fn try_eval(&mut self, expression: &str) -> Result<Value, Value> {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.connection.try_call("Runtime.evaluate", &asked)?;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        Ok(answer["result"]["value"].take())
    }

    /// Waits until the page shows `text` in an element that matches `selector`.
    pub(crate) fn wait_for_text(&mut self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        self.wait_for(&format!(
            "[...document.querySelectorAll({selector})].some((e) => e.textContent === {text})"
        ));
    }

    /// Replaces what is in a field by typed text.
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        self.eval(&format!(
            "{{ const field = document.querySelector({}); field.focus(); field.select(); }}",
            json!(selector)
        ));
        self.connection.call("Input.insertText", &json!({"text": text}));
    }

    /// Presses Enter in whatever has the focus.
    pub(crate) fn press_enter(&mut self) {
        let key = json!({"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"});
        self.connection.call("Input.dispatchKeyEvent", &key);
        let key =
            json!({"type": "keyUp", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13});
        self.connection.call("Input.dispatchKeyEvent", &key);
    }

    /// Takes the page's network away, for connections to come, or gives it back; the page is told.
    pub(crate) fn set_offline(&mut self, offline: bool) {
        self.connection.call("Network.enable", &json!({}));
        let conditions = json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.connection.call("Network.emulateNetworkConditions", &conditions);
    }

    /// Gives the page a screen of this many CSS pixels, and light or dark as the preferred scheme.
    pub(crate) fn emulate(&mut self, (width, height): (u32, u32), scheme: &str) {
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": true});
        self.connection.call("Emulation.setDeviceMetricsOverride", &screen);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.connection.call("Emulation.setEmulatedMedia", &features);
    }
}

/// A connection to one DevTools target: calls go out, their answers come back among events, which are passed over.
pub(crate) struct Connection {
    socket: WebSocket<TcpStream>,
    last_id: u64,
}

impl Connection {
    pub(crate) fn open(port: u16, path: &str) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the browser accepts");
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a timeout can be set");
        let (socket, _) = client(format!("ws://127.0.0.1:{port}{path}"), stream)
            .expect("the browser speaks WebSocket");
        Self { socket, last_id: 0 }
    }

    /// Calls a method of the protocol and waits for its result.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.last_id += 1;
        let call = json!({"id": self.last_id, "method": method, "params": params});
        self.socket.send(Message::text(call.to_string())).expect("the browser takes a call");
        loop {
            let message = self
                .socket
                .read()
                .unwrap_or_else(|error| panic!("{method} has no answer: {error}"));
            let mut answer: Value =
                serde_json::from_slice(&message.into_data()).expect("the browser speaks JSON");
            if answer["id"] == self.last_id {
                let error = answer["error"].take();
                return if error.is_null() { Ok(answer["result"].take()) } else { Err(error) };
            }
        }
    }
}
