//! Notifications to customers, as configured. There are none unless a channel is configured.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use application::pipeline::{Context, Notifications};
use application::ports::Channel;
use providers::notifications::{
    MailSettings, Mailer, Notifier, PrivateAddresses, Signer, WebhookClient, WebhookSender, WebhookSettings,
    check_address,
};

use crate::any_store::AnyStore;
use crate::config::{Allowance, Config, Secret, Way};

/// The channels that are configured.
#[must_use]
pub fn channels(config: &Config) -> Arc<[Channel]> {
    let settings = &config.notifications;
    let mut channels = Vec::new();
    for (way, channel) in [(Way::Log, Channel::Log), (Way::File, Channel::File), (Way::Smtp, Channel::Smtp)] {
        channels.extend(settings.uses(way).then_some(channel));
    }
    if settings.uses(Way::Webhooks) {
        channels.extend(settings.webhook_urls.expose().iter().cloned().map(Channel::Webhook));
    }
    channels.into()
}

/// The service and its channels; none if no channel is configured.
///
/// # Errors
/// Which setting cannot be used.
pub fn notifications(config: &Config, store: &AnyStore, context: &Context) -> Result<Option<Notifications>> {
    let settings = &config.notifications;
    if settings.ways.is_empty() {
        return Ok(None);
    }
    let mut notifier = Notifier::default();
    if settings.uses(Way::File) {
        notifier = notifier.with_file(settings.file.clone().into());
    }
    if settings.uses(Way::Smtp) {
        notifier = notifier.with_mail(mailer(config)?);
    }
    if settings.uses(Way::Webhooks) {
        notifier = notifier.with_webhooks(webhooks(config, store, context)?);
        for address in settings.webhook_urls.expose() {
            check_address(address).context("notifications.webhook_urls")?;
        }
    }
    Ok(Some(Notifications { channels: channels(config), service: Arc::new(notifier) }))
}

/// What posts events to webhook endpoints.
///
/// # Errors
/// If `notifications.webhook_roots` cannot be used.
pub fn webhook_client(config: &Config) -> Result<WebhookClient> {
    let settings = &config.notifications;
    let limit = Duration::from_millis(settings.call_limit_ms);
    WebhookClient::new(private_addresses(config), limit, more_roots(config))
        .context("notifications.webhook_roots cannot be used")
}

fn private_addresses(config: &Config) -> PrivateAddresses {
    match config.notifications.webhook_private_addresses {
        Allowance::Refuse => PrivateAddresses::Refused,
        Allowance::Allow => PrivateAddresses::Allowed,
    }
}

/// The file with certificates beside those of the system, if there is one.
fn more_roots(config: &Config) -> Option<&Path> {
    let roots = &config.notifications.webhook_roots;
    (!roots.is_empty()).then(|| Path::new(roots))
}

fn mailer(config: &Config) -> Result<Mailer> {
    let settings = &config.notifications;
    let mail = MailSettings {
        url: settings.smtp_url.expose(),
        from: &settings.smtp_from,
        to: &settings.smtp_to,
        limit: Duration::from_millis(settings.call_limit_ms),
    };
    Mailer::new(&mail).context("notifications.smtp_url, smtp_from or smtp_to cannot be used")
}

fn webhooks(config: &Config, store: &AnyStore, context: &Context) -> Result<WebhookSender> {
    let settings = &config.notifications;
    let secrets = [&settings.webhook_secret, &settings.webhook_secret_previous];
    let secrets = secrets.into_iter().filter(|secret| !secret.is_empty()).map(Secret::expose);
    let sending = WebhookSettings {
        signer: Signer::new(secrets).context("notifications.webhook_secret cannot be used")?,
        private: private_addresses(config),
        limit: Duration::from_millis(settings.call_limit_ms),
        more_roots: more_roots(config),
    };
    WebhookSender::new(sending, Arc::clone(&store.endpoints), Arc::clone(&context.clock))
        .context("notifications.webhook_roots cannot be used")
}
