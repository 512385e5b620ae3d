//! NATS JetStream, if there is any: a secret says where, and who we are there.

use std::future::Future;
use std::time::{Duration, Instant};

use async_nats::jetstream::Context;
use async_nats::{ConnectOptions, HeaderMap, header, jetstream};
use paygraph_runtime::clock::Clock;
use paygraph_runtime::secrets::{SecretCache, SecretSource};
use paygraph_runtime::telemetry::Chain;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::message::Message;

mod stream;

/// The name of the secret.
pub const SECRET: &str = "nats";
/// How long connecting, and the stream's word that it has a message, may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// For how long nobody tries again where connecting failed: the other events of a batch are not to
/// wait for the same.
const PAUSE: Duration = Duration::from_secs(1);

/// The message is not known to be in the stream.
#[derive(Debug, Clone, thiserror::Error)]
#[error("NATS: {0}")]
pub struct PublishError(String);

/// Where messages go.
pub trait Publish {
    /// Whether there is any such place.
    fn is_there(&self) -> impl Future<Output = Result<bool, PublishError>>;

    /// Publishes a message and waits until it is kept. Where there is no place, that is all.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<(), PublishError>>;
}

/// What the secret says.
#[derive(Deserialize)]
struct Place {
    /// `nats://…` or `tls://…`.
    url: String,
    user: Option<String>,
    password: Option<SecretString>,
    token: Option<SecretString>,
    /// The text of a `.creds` file.
    creds: Option<SecretString>,
    /// The stream to make, if it is not there.
    stream: Option<String>,
}

/// A secret that says anything: an empty one, or an empty document, is none.
fn usable(secret: &SecretString) -> Option<SecretString> {
    let is_empty = matches!(secret.expose_secret().trim(), "" | "{}");
    (!is_empty).then(|| secret.clone())
}

/// A connection, with the secret that it was made by.
struct Connection {
    secret: SecretString,
    context: Context,
}

/// The newest connection, and the newest failure to make one.
#[derive(Default)]
struct Held {
    connection: Option<Connection>,
    failed: Option<(Instant, SecretString, PublishError)>,
}

/// NATS JetStream.
pub struct Nats<K, C> {
    secrets: SecretCache<K>,
    clock: C,
    held: Mutex<Held>,
}

impl<K: SecretSource, C: Clock> Nats<K, C> {
    /// NATS as a secret of this source describes it.
    pub fn new(secrets: K, clock: C) -> Self {
        Self {
            secrets: SecretCache::new(secrets),
            clock,
            held: Mutex::default(),
        }
    }

    async fn secret(&self) -> Result<Option<SecretString>, PublishError> {
        let secret = self.secrets.get(SECRET, self.clock.now()).await;
        let secret = secret.map_err(|error| PublishError(Chain(&error).to_string()))?;
        Ok(secret.and_then(|secret| usable(&secret)))
    }

    /// The connection, made anew when the secret has changed. Says whether it was there before.
    async fn connected(&self, secret: &SecretString) -> Result<(Context, bool), PublishError> {
        let mut held = self.held.lock().await;
        let same = |by: &SecretString| by.expose_secret() == secret.expose_secret();
        if let Some(connection) = held.connection.as_ref().filter(|held| same(&held.secret)) {
            return Ok((connection.context.clone(), true));
        }
        if let Some((at, by, error)) = &held.failed
            && at.elapsed() < PAUSE
            && same(by)
        {
            return Err(error.clone());
        }
        let connected = connect(secret).await;
        let failed = connected.as_ref().err().cloned();
        held.failed = failed.map(|error| (Instant::now(), secret.clone(), error));
        let context = connected?;
        held.connection = Some(Connection {
            secret: secret.clone(),
            context: context.clone(),
        });
        Ok((context, false))
    }
}

impl<K: SecretSource, C: Clock> Publish for Nats<K, C> {
    async fn is_there(&self) -> Result<bool, PublishError> {
        Ok(self.secret().await?.is_some())
    }

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let Some(secret) = self.secret().await? else {
            return Ok(());
        };
        let Err(error) = self.publish_by(&secret, message).await else {
            return Ok(());
        };
        // Somebody may have put another server or other credentials there.
        let fresh = self.secrets.refresh(SECRET, self.clock.now()).await;
        match fresh.ok().flatten().and_then(|fresh| usable(&fresh)) {
            Some(fresh) if fresh.expose_secret() != secret.expose_secret() => {
                self.publish_by(&fresh, message).await
            }
            Some(_) | None => Err(error),
        }
    }
}

impl<K: SecretSource, C: Clock> Nats<K, C> {
    /// Publishes over the connection that there is, and over a new one where that fails.
    async fn publish_by(
        &self,
        secret: &SecretString,
        message: &Message,
    ) -> Result<(), PublishError> {
        let (context, was_held) = self.connected(secret).await?;
        let Err(error) = send(&context, message).await else {
            return Ok(());
        };
        self.held.lock().await.connection = None;
        if !was_held {
            return Err(error);
        }
        // A connection does not outlive every sleep between two invocations: one made anew may do.
        // The message's id makes the repeat harmless.
        let (context, _) = self.connected(secret).await?;
        send(&context, message).await
    }
}

fn failed(what: &str) -> impl FnOnce(async_nats::Error) -> PublishError {
    move |error| PublishError(format!("{what}: {error}"))
}

async fn connect(secret: &SecretString) -> Result<Context, PublishError> {
    // Not the parser's own words: they may quote the secret.
    let place: Place = serde_json::from_str(secret.expose_secret()).map_err(|_| {
        PublishError(format!(
            "the secret {SECRET} is not JSON with at least a `url`"
        ))
    })?;
    let mut options = ConnectOptions::new()
        .name("paygraph")
        .connection_timeout(PATIENCE);
    if let (Some(user), Some(password)) = (place.user, place.password) {
        options = options.user_and_password(user, password.expose_secret().to_owned());
    }
    if let Some(token) = place.token {
        options = options.token(token.expose_secret().to_owned());
    }
    if let Some(creds) = place.creds {
        let with = options.credentials(creds.expose_secret());
        options = with.map_err(|_| PublishError("its `creds` are not readable".to_owned()))?;
    }
    let client = options.connect(place.url).await;
    let client = client.map_err(|error| failed("cannot connect")(error.into()))?;
    let mut context = jetstream::new(client);
    context.set_timeout(PATIENCE);
    if let Some(name) = place.stream {
        stream::ensure(&context, name).await?;
    }
    Ok(context)
}

/// Publishes, and waits for the stream's word. A second message with an id is dropped by the stream,
/// and is as good as kept.
async fn send(context: &Context, message: &Message) -> Result<(), PublishError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::NATS_MESSAGE_ID, message.id.as_str());
    let (subject, payload) = (message.subject.clone(), message.payload.clone());
    let sent = context
        .publish_with_headers(subject, headers, payload.into())
        .await;
    let sent = sent.map_err(|error| failed("cannot publish")(error.into()))?;
    let kept = sent.await;
    kept.map(|_| ())
        .map_err(|error| failed("not kept")(error.into()))
}
