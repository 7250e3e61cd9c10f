//! Just enough of PostgreSQL's protocol to know when a server is ready and to run a statement on it. With this there is
//! need of neither a driver nor `psql`, and xtask stays quick to build.

use std::{io, net::Ipv4Addr, time::Duration};

use bytes::BytesMut;
use fallible_iterator::FallibleIterator as _;
use postgres_protocol::{
    authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
    message::{
        backend::{ErrorResponseBody, Message},
        frontend,
    },
};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longest answer that is taken: statements here return next to nothing.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How long a server may take to let a client in once it has accepted the connection.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);

/// A connection of the superuser.
pub(crate) struct Connection {
    stream: TcpStream,
    received: BytesMut,
}

/// An error that the server reported.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The five letters of SQLSTATE.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Why a connection or a statement failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Refusal),
    Broken(io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Refused(Refusal { code, message }) => {
                write!(out, "{message} (SQLSTATE {code})")
            }
            Failure::Broken(error) => write!(out, "{error}"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Broken(error)
    }
}

impl Connection {
    /// Connects with a password and waits until the server is ready for statements.
    pub(crate) async fn open(
        port: u16,
        user: &str,
        password: &SecretString,
        database: &str,
    ) -> Result<Connection, Failure> {
        let login = async {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            let mut connection = Connection { stream, received: BytesMut::new() };
            let parameters = [("user", user), ("database", database)];
            connection.send(|message| frontend::startup_message(parameters, message)).await?;
            connection.prove(password).await?;
            connection.until_ready().await?;
            Ok(connection)
        };
        timeout(LOGIN_LIMIT, login).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// Runs one statement without results.
    pub(crate) async fn execute(&mut self, statement: &str) -> Result<(), Failure> {
        self.send(|message| frontend::query(statement, message)).await?;
        self.until_ready().await
    }

    /// Proves to the server that the password is known, and hears from the server that it knows it too.
    async fn prove(&mut self, password: &SecretString) -> Result<(), Failure> {
        match self.receive().await? {
            Message::AuthenticationSasl(offer) => {
                if !offer.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256))? {
                    return Err(invalid("a server that does not offer SCRAM-SHA-256"));
                }
            }
            Message::ErrorResponse(error) => return Err(Failure::Refused(refusal(&error)?)),
            _ => return Err(invalid("a server that does not ask for a password")),
        }
        let mut scram = ScramSha256::new(password.expose_secret().as_bytes(), ChannelBinding::unsupported());
        self.send(|message| frontend::sasl_initial_response(SCRAM_SHA_256, scram.message(), message)).await?;
        match self.receive().await? {
            Message::AuthenticationSaslContinue(challenge) => scram.update(challenge.data())?,
            Message::ErrorResponse(error) => return Err(Failure::Refused(refusal(&error)?)),
            _ => return Err(invalid("a login without a challenge")),
        }
        self.send(|message| frontend::sasl_response(scram.message(), message)).await?;
        match self.receive().await? {
            Message::AuthenticationSaslFinal(proof) => Ok(scram.finish(proof.data())?),
            Message::ErrorResponse(error) => Err(Failure::Refused(refusal(&error)?)),
            _ => Err(invalid("a login without an end")),
        }
    }

    /// Reads up to `ReadyForQuery`; the first error on the way is the result.
    async fn until_ready(&mut self) -> Result<(), Failure> {
        let mut refused = None;
        loop {
            match self.receive().await {
                // A server that refuses a login closes the connection after its error.
                Err(error) => return Err(refused.map_or(error, Failure::Refused)),
                Ok(Message::ReadyForQuery(_)) => {
                    return refused.map_or(Ok(()), |refusal| Err(Failure::Refused(refusal)));
                }
                Ok(Message::ErrorResponse(error)) if refused.is_none() => refused = Some(refusal(&error)?),
                Ok(_) => {}
            }
        }
    }

    async fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), Failure> {
        let mut message = BytesMut::new();
        write(&mut message)?;
        Ok(self.stream.write_all(&message).await?)
    }

    async fn receive(&mut self) -> Result<Message, Failure> {
        loop {
            if let Some(message) = Message::parse(&mut self.received)? {
                return Ok(message);
            }
            if self.received.len() > ANSWER_BYTES_MAX {
                return Err(invalid("an answer that is too long"));
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

fn invalid(what: &'static str) -> Failure {
    Failure::Broken(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// Code and message, of the many fields of an error.
fn refusal(error: &ErrorResponseBody) -> Result<Refusal, Failure> {
    let mut refusal = Refusal { code: String::new(), message: String::new() };
    let mut fields = error.fields();
    while let Some(field) = fields.next()? {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => refusal.code = text,
            b'M' => refusal.message = text,
            _ => {}
        }
    }
    Ok(refusal)
}
