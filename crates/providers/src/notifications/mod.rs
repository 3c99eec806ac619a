//! Notifies customers and their systems by log, file, mail and signed webhook. Never decides whether to send, nor
//! when to try again.

mod mail;
mod reach;
mod signer;
mod webhook;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use application::ports::{Channel, Notification, NotificationService, Said, Untold};
use async_trait::async_trait;

pub use mail::{MailSettings, Mailer, UnusableMail};
pub use reach::{PrivateAddresses, is_public};
pub use signer::{Signer, UnusableSecret};
pub use webhook::{
    UnusableWebhook, WebhookAnswer, WebhookClient, WebhookMessage, WebhookSender, WebhookSettings,
    check_address,
};

/// All channels.
#[derive(Default)]
pub struct Notifier {
    file: Option<Mutex<PathBuf>>,
    mailer: Option<Mailer>,
    webhooks: Option<WebhookSender>,
}

impl Notifier {
    /// Writes file notifications to this file, one JSON object per line.
    #[must_use]
    pub fn with_file(mut self, path: PathBuf) -> Self {
        self.file = Some(Mutex::new(path));
        self
    }

    /// Sends mail so.
    #[must_use]
    pub fn with_mail(mut self, mailer: Mailer) -> Self {
        self.mailer = Some(mailer);
        self
    }

    /// Sends webhooks so.
    #[must_use]
    pub fn with_webhooks(mut self, sender: WebhookSender) -> Self {
        self.webhooks = Some(sender);
        self
    }

    fn write(&self, notification: &Notification) -> Result<Said, Untold> {
        let path =
            self.file.as_ref().ok_or_else(|| unset("file"))?.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = |why: &dyn std::fmt::Display| Untold::Later {
            why: format!("{} cannot be written: {why}", path.display()),
            after: None,
        };
        let mut line = serde_json::to_vec(notification).map_err(|error| untold(&error))?;
        line.push(b'\n');
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&*path);
        file.and_then(|mut file| file.write_all(&line)).map_err(|error| untold(&error))?;
        Ok(Said::Told)
    }
}

fn unset(channel: &str) -> Untold {
    Untold::Never { why: format!("this worker is not set up to tell anybody by {channel}") }
}

#[async_trait]
impl NotificationService for Notifier {
    async fn tell(&self, notification: &Notification, channel: &Channel) -> Result<Said, Untold> {
        match channel {
            Channel::Log => {
                let (order_id, kind, id) =
                    (notification.order_id, notification.kind.as_str(), notification.id);
                tracing::info!(%order_id, kind, notification = %id, "the customer is told");
                Ok(Said::Told)
            }
            Channel::File => self.write(notification),
            Channel::Smtp => match &self.mailer {
                Some(mailer) => mailer.send(notification).await.map(|()| Said::Told),
                None => Err(unset("smtp")),
            },
            Channel::Webhook(address) => match &self.webhooks {
                Some(webhooks) => webhooks.send(notification, address).await,
                None => Err(unset("webhook")),
            },
        }
    }
}
