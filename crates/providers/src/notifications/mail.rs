//! Mail to customers by SMTP. A mail has the same Message-ID each time it is sent, so that a receiver detects a
//! repeat.

use std::time::Duration;

use application::ports::{Notification, NotificationKind, Untold};
use domain::{Currency, Money};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use thiserror::Error;

/// The placeholder for the customer in the receiver's address.
const CUSTOMER: &str = "{customer_id}";

/// How mail is sent.
#[derive(Clone, Debug)]
pub struct MailSettings<'a> {
    /// `smtp://user:password@host:587?tls=required`, `smtps://…:465`, or `smtp://…` in the clear.
    pub url: &'a str,
    /// The sender, such as `Shop <orders@shop.example>`.
    pub from: &'a str,
    /// Whom it goes to if the order names no mail address, with `{customer_id}` in it.
    pub to: &'a str,
    /// How long one mail may take.
    pub limit: Duration,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnusableMail {
    /// The address of the server. It may have a password in it, so it is not told.
    #[error(
        "it is no address of a mail server; write smtp://user:password@host:587?tls=required or smtps://…"
    )]
    Url,
    /// The sender.
    #[error("'{0}' is no sender; write Name <user@host>")]
    From(String),
    /// The receiver.
    #[error(
        "'{0}' is no receiver; write {CUSTOMER} where the customer's id goes, such as {CUSTOMER}@shop.example"
    )]
    To(String),
}

/// Sends mail.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: String,
}

impl Mailer {
    /// A sender with these settings. Does not connect yet.
    ///
    /// # Errors
    /// Which setting cannot be used.
    pub fn new(settings: &MailSettings<'_>) -> Result<Self, UnusableMail> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(settings.url)
            .map_err(|_| UnusableMail::Url)?
            .timeout(Some(settings.limit))
            .build();
        let from = settings.from.parse().map_err(|_| UnusableMail::From(settings.from.to_owned()))?;
        if !settings.to.contains(CUSTOMER) {
            return Err(UnusableMail::To(settings.to.to_owned()));
        }
        Ok(Self { transport, from, to: settings.to.to_owned() })
    }

    pub(super) async fn send(&self, notification: &Notification) -> Result<(), Untold> {
        let mail = self.mail(notification)?;
        match self.transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => {
                Err(Untold::Never { why: format!("the mail server refuses for good: {error}") })
            }
            Err(error) => {
                Err(Untold::Later { why: format!("the mail server does not take it: {error}"), after: None })
            }
        }
    }

    fn mail(&self, notification: &Notification) -> Result<Message, Untold> {
        // Why is kept in the order's timeline, which those may read who may not know the customer.
        let (to, whose) = match &notification.email {
            Some(email) => (email.parse(), "what the order's contact has"),
            None => (
                self.to.replace(CUSTOMER, &notification.customer_id).parse(),
                "what notifications.smtp_to makes of the customer's id",
            ),
        };
        let to: Mailbox = to.map_err(|_| Untold::Never { why: format!("{whose} is no mail address") })?;
        let host = self.from.email.domain();
        Message::builder()
            .from(self.from.clone())
            .to(to)
            .message_id(Some(format!("<{}@{host}>", notification.id)))
            .subject(subject(notification))
            .header(ContentType::TEXT_PLAIN)
            .body(text(notification))
            .map_err(|error| Untold::Never { why: format!("the mail cannot be written: {error}") })
    }
}

fn subject(notification: &Notification) -> String {
    let became = match notification.kind {
        NotificationKind::OrderConfirmed => "is confirmed",
        NotificationKind::OrderShipped => "is on its way",
        NotificationKind::OrderDelivered => "was delivered",
        NotificationKind::OrderCancelled => "was cancelled",
    };
    format!("Your order {} {became}", notification.order_id)
}

fn text(notification: &Notification) -> String {
    let total = &notification.total;
    let total = Currency::parse(&total.currency)
        .map_or_else(|_| total.minor.to_string(), |currency| Money::new(total.minor, currency).to_string());
    let said = match notification.kind {
        NotificationKind::OrderConfirmed => {
            format!("we have your payment of {total} and are packing your parcel.")
        }
        NotificationKind::OrderShipped => format!(
            "your parcel left with {} as {}.",
            notification.carrier.as_deref().unwrap_or("the carrier"),
            notification.tracking_number.as_deref().unwrap_or("(no number)"),
        ),
        NotificationKind::OrderDelivered => "your parcel was delivered.".to_owned(),
        NotificationKind::OrderCancelled => format!(
            "your order was cancelled ({}). Whatever was paid is given back.",
            notification.reason.as_deref().unwrap_or("no reason given"),
        ),
    };
    format!("Hello,\r\n\r\n{said}\r\n\r\nOrder {}\r\n", notification.order_id)
}
