//! A place that takes messages as Slack does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::{Tenant, stack};

/// An incoming webhook of Slack's that keeps what it hears. It runs as long as the test.
#[derive(Debug)]
pub struct Slack {
    url: String,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Slack {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let message = hear(stream);
                hearing.lock().unwrap().push(message);
            }
        });
        Self { url, heard }
    }

    /// Lets a tenant's alerts come here.
    pub fn serve(&self, tenant: &Tenant) {
        stack().keep_secret(&format!("slack/{}", tenant.id), &json!({ "url": self.url }));
    }

    /// The texts that begin so, of all that came.
    #[must_use]
    pub fn heard(&self, beginning: &str) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let texts = heard
            .iter()
            .map(|message| message["text"].as_str().unwrap());
        let texts = texts.filter(|text| text.starts_with(beginning));
        texts.map(str::to_owned).collect()
    }
}

fn hear(stream: TcpStream) -> Value {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if let Some(given) = line.strip_prefix("content-length:") {
            length = given.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
    stream.get_mut().write_all(answer).unwrap();
    serde_json::from_slice(&body).unwrap()
}
