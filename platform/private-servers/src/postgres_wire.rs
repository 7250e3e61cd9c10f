//! Just enough of PostgreSQL's protocol to know when a server is ready and to run a statement on it.
//!
//! A private server lets its superuser in without a password, so this needs neither a driver nor
//! `psql`, and xtask stays quick to build.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Version 3.0 of the protocol, as it stands in the first message.
const PROTOCOL_VERSION: i32 = 196_608;
/// Longest answer that is taken: statements here return next to nothing.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// How long a server may take to let a client in once it has accepted the connection.
const LOGIN_LIMIT: Duration = Duration::from_secs(5);

/// A connection of the superuser.
pub(crate) struct Connection {
    stream: TcpStream,
}

/// An error that the server reported.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// SQLSTATE.
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
    /// Connects and waits until the server is ready for statements.
    pub(crate) async fn open(port: u16, user: &str, database: &str) -> Result<Connection, Failure> {
        let login = async {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
            let mut body = PROTOCOL_VERSION.to_be_bytes().to_vec();
            for text in ["user", user, "database", database] {
                body.extend_from_slice(text.as_bytes());
                body.push(0);
            }
            body.push(0);
            stream.write_all(&framed(&body)?).await?;
            let mut connection = Connection { stream };
            connection.until_ready().await?;
            Ok(connection)
        };
        timeout(LOGIN_LIMIT, login).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// Runs one statement without results.
    pub(crate) async fn execute(&mut self, statement: &str) -> Result<(), Failure> {
        let mut body = statement.as_bytes().to_vec();
        body.push(0);
        let mut message = vec![b'Q'];
        message.extend(framed(&body)?);
        self.stream.write_all(&message).await?;
        self.until_ready().await
    }

    /// Reads up to `ReadyForQuery`; the first error on the way is the result.
    async fn until_ready(&mut self) -> Result<(), Failure> {
        let mut refusal = None;
        loop {
            let kind = match self.stream.read_u8().await {
                // A server that refuses a login closes the connection after its error.
                Err(error) => return Err(refusal.map_or(Failure::Broken(error), Failure::Refused)),
                Ok(kind) => kind,
            };
            let length = self.stream.read_u32().await?;
            let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(4);
            if length > MESSAGE_BYTES_MAX {
                return Err(invalid("an answer that is too long"));
            }
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body).await?;
            match kind {
                b'Z' => return refusal.map_or(Ok(()), |refusal| Err(Failure::Refused(refusal))),
                b'E' => refusal = refusal.or_else(|| Some(parse_refusal(&body))),
                b'R' if body != [0; 4] => return Err(invalid("a server that wants a password")),
                _ => {}
            }
        }
    }
}

fn framed(body: &[u8]) -> Result<Vec<u8>, Failure> {
    let length = i32::try_from(body.len() + 4).map_err(|_| invalid("a statement that is too long"))?;
    Ok([&length.to_be_bytes(), body].concat())
}

fn invalid(what: &'static str) -> Failure {
    Failure::Broken(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// An error's fields: a letter and a text each, ended by a zero.
fn parse_refusal(body: &[u8]) -> Refusal {
    let field = |letter: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&letter));
        String::from_utf8_lossy(found.and_then(|field| field.get(1..)).unwrap_or_default()).into_owned()
    };
    Refusal { code: field(b'C'), message: field(b'M') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_by_its_letters() {
        let refusal = parse_refusal(b"SFATAL\0C57P03\0Mthe database system is starting up\0\0");
        assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("57P03", "the database system is starting up"));
    }
}
