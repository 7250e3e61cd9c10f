//! The state that all pages share.

use std::sync::Arc;

use kit::clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::{
    attention::AttentionLooks, door::Door, half_logins::HalfLogins, looks::Overviews, session::Sessions,
    settings::Settings,
};

/// The state itself, behind one pointer: cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

/// The fields of [`App`], which derefs to it.
pub(crate) struct Inner {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) door: Door,
    pub(crate) sessions: Sessions,
    pub(crate) half_logins: HalfLogins,
    pub(crate) overviews: Arc<Overviews>,
    pub(crate) attention: Arc<AttentionLooks>,
    pub(crate) production: bool,
    /// Live streams end with it.
    pub(crate) stopping: CancellationToken,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub(crate) fn new(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        stopping: CancellationToken,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self(Arc::new(Inner {
            clock,
            door: Door::new(&settings.gateway, settings.internal_token.clone())?,
            sessions: Sessions::default(),
            half_logins: HalfLogins::default(),
            overviews: Arc::default(),
            attention: Arc::default(),
            production: settings.production,
            stopping,
        })))
    }
}
