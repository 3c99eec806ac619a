//! MassTransit's request client against the program: what it asks about orders is answered at the exchange that it names, once the work is
//! done, on either store.

use std::collections::BTreeSet;
use std::time::Duration;

use application::commands::CreateOrderCommand;
use bus::{Clock, IdSource, RandomIds, SystemClock};
use domain::CustomerId;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use orderwright::any_store::AnyStore;
use orderwright::config::Config;
use orderwright::demo::Stage;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::carriers::{Place, leave, request};

const LIMIT: Duration = Duration::from_secs(60);

const CUSTOMER: &str = "ann-of-the-corner-shop";

const REPLIES: &str = "hosta_shop_bus_yyyyyytu6imixxxxbdxw5xxxxx";

/// A service with a request client, seen from the broker.
struct Client {
    channel: Channel,
    vhost: String,
    _connection: Connection,
}

/// How a request is sent.
struct Asking {
    exchange: String,
    message_id: Uuid,
    request_id: Uuid,
    response_address: Option<String>,
}

fn id() -> Uuid {
    RandomIds::from_system().next(SystemClock.now())
}

impl Client {
    async fn at(config: &Config) -> Self {
        let settings = config.rabbitmq.settings(1).expect("there is a broker");
        let address = settings.addresses[0].clone();
        let connection = Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let vhost = address.rsplit_once('/').expect("it has a virtual host").1.to_owned();
        let client = Self { channel, vhost, _connection: connection };
        client.listen(REPLIES).await;
        client
    }

    /// Exchange and queue as the endpoint of a bus has them; they go with their user.
    async fn listen(&self, name: &str) {
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let none = FieldTable::default;
        self.channel.exchange_declare(name.into(), ExchangeKind::Fanout, options, none()).await.unwrap();
        let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), options, none()).await.unwrap();
        let options = QueueBindOptions::default();
        self.channel.queue_bind(name.into(), name.into(), "".into(), options, none()).await.unwrap();
    }

    fn address(&self, exchange: &str) -> String {
        format!("rabbitmq://broker.example/{}/{exchange}?temporary=true", self.vhost)
    }

    /// As `Publish` goes, with an address for the answer.
    fn asking(&self, kind: &str) -> Asking {
        Asking {
            exchange: format!("Orderwright.Contracts:{kind}"),
            message_id: id(),
            request_id: id(),
            response_address: Some(self.address(REPLIES)),
        }
    }

    /// Sends a request as MassTransit 8.5.12 writes it.
    async fn send(&self, kind: &str, message: &Value, asking: &Asking) {
        let body = json!({
            "messageId": asking.message_id,
            "requestId": asking.request_id,
            "correlationId": null,
            "conversationId": Uuid::from_u128(7),
            "initiatorId": null,
            "sourceAddress": self.address(REPLIES),
            "destinationAddress": format!("rabbitmq://broker.example/{}/{}", self.vhost, asking.exchange),
            "responseAddress": asking.response_address,
            "faultAddress": null,
            "messageType": [format!("urn:message:Orderwright.Contracts:{kind}")],
            "message": message,
            "expirationTime": "2099-11-29T02:27:15.6797686Z",
            "sentTime": "2026-11-29T02:27:07.3295785Z",
            "headers": { "MT-Request-AcceptType": [
                "urn:message:Orderwright.Contracts:OrderStatus",
                "urn:message:Orderwright.Contracts:OrderNotFound",
            ] },
            "host": { "machineName": "host-a", "processId": 4242, "massTransitVersion": "8.5.12.0" }
        });
        let properties = BasicProperties::default()
            .with_content_type("application/vnd.masstransit+json".into())
            .with_message_id(asking.message_id.to_string().into())
            .with_expiration("60000".into())
            .with_delivery_mode(2);
        let (exchange, options) = (asking.exchange.as_str().into(), BasicPublishOptions::default());
        let body = body.to_string();
        self.channel.basic_publish(exchange, "".into(), options, body.as_bytes(), properties).await.unwrap();
    }

    /// The next answer.
    async fn answer(&self) -> Value {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        let looking = async {
            loop {
                let got = self.channel.basic_get(REPLIES.into(), BasicGetOptions::default()).await.unwrap();
                if let Some(message) = got {
                    message.ack(BasicAckOptions::default()).await.unwrap();
                    break serde_json::from_slice(&message.data).expect("an envelope");
                }
                looks.tick().await;
            }
        };
        tokio::time::timeout(LIMIT, looking).await.expect("an answer")
    }

    /// Asks, and returns kind and message of the answer; its envelope is as a request client wants it.
    async fn ask_as(&self, kind: &str, message: &Value, asking: &Asking) -> (String, Value) {
        self.send(kind, message, asking).await;
        let answer = self.answer().await;
        assert_eq!(answer["requestId"], json!(asking.request_id));
        assert_eq!(answer["initiatorId"], json!(asking.message_id));
        assert_eq!(answer["conversationId"], json!(Uuid::from_u128(7)));
        let of = |member: &str| answer[member].as_str().unwrap_or_default().to_owned();
        assert!(of("sourceAddress").contains("/orderwright"), "{answer}");
        assert!(of("destinationAddress").ends_with(&format!("/{REPLIES}")), "{answer}");
        let told = answer.to_string();
        assert!(!told.contains(CUSTOMER) && !told.contains("tok_"), "it tells of the customer: {answer}");
        let urn = answer["messageType"][0].as_str().expect("it has a type");
        let kind = urn.strip_prefix("urn:message:Orderwright.Contracts:").unwrap_or(urn).to_owned();
        (kind, answer["message"].clone())
    }

    async fn ask(&self, kind: &str, message: &Value) -> (String, Value) {
        self.ask_as(kind, message, &self.asking(kind)).await
    }
}

fn members(message: &Value) -> BTreeSet<&str> {
    message.as_object().expect("an object").keys().map(String::as_str).collect()
}

async fn await_status(store: &AnyStore, order: &CreateOrderCommand, status: &str) {
    let mut looks = tokio::time::interval(Duration::from_millis(25));
    let looking = async {
        while store.readers.order(order.order_id).await.unwrap().is_none_or(|it| it.status != status) {
            looks.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, looking).await.unwrap_or_else(|_| panic!("it is not {status}"));
}

/// The gateway is of no use, so orders can still be cancelled.
async fn cancels_and_says_so(config: &Config, orders: &[CreateOrderCommand]) {
    let faults = sandbox::FaultSettings {
        payments: sandbox::Faults { server_error_permille: 1_000, ..sandbox::Faults::default() },
        fault_repeat_max: u32::MAX,
        ..sandbox::FaultSettings::default()
    };
    let settings = sandbox::Settings { faults, ..sandbox::Settings::default() };
    let stage = Stage::open(config.clone(), Some(settings)).await.expect("everything is there");
    let client = Client::at(config).await;
    let wish = json!({ "orderId": orders[0].order_id.0, "reason": "customer", "note": "wrong size" });
    let asking = client.asking("CancelOrder");
    let (kind, message) = client.ask_as("CancelOrder", &wish, &asking).await;
    assert_eq!(kind, "OrderCancellationAccepted");
    assert_eq!(message, json!({ "orderId": orders[0].order_id.0, "already": false }));
    let (kind, message) = client.ask_as("CancelOrder", &wish, &asking).await;
    assert_eq!((kind.as_str(), &message["already"]), ("OrderCancellationAccepted", &json!(true)));
    let silent = Asking { response_address: None, ..client.asking("CancelOrder") };
    client.send("CancelOrder", &json!({ "OrderId": orders[1].order_id.0 }), &silent).await;
    for order in &orders[..2] {
        await_status(&stage.service.store, order, "cancelled").await;
    }
    let told = stage.service.store.readers.history(orders[0].order_id).await.unwrap().expect("it is known");
    let wishes = told.iter().filter(|entry| entry.event == "CancelRequested").count();
    assert_eq!(wishes, 1, "{told:?}");
    let (kind, message) = client.ask("GetOrderStatus", &json!({ "orderId": orders[1].order_id.0 })).await;
    assert_eq!((kind.as_str(), &message["reason"]), ("OrderStatus", &json!("customer")));
    stage.close().await;
}

async fn tells_where_an_order_stands(
    config: &Config,
    order: &CreateOrderCommand,
    declined: &CreateOrderCommand,
) {
    let settings = sandbox::Settings { delivery_delay_ms: (1, 10), ..sandbox::Settings::default() };
    let stage = Stage::open(config.clone(), Some(settings)).await.expect("everything is there");
    await_status(&stage.service.store, order, "delivered").await;
    let client = Client::at(config).await;
    let by_id = json!({ "orderId": order.order_id.0 });
    let by_reference = json!({ "ExternalReference": order.external_reference });
    for question in [&by_id, &by_reference] {
        let (kind, message) = client.ask("GetOrderStatus", question).await;
        assert_eq!((kind.as_str(), &message["orderId"]), ("OrderStatus", &by_id["orderId"]));
        assert_eq!((&message["status"], &message["sagaState"]), (&json!("delivered"), &json!("completed")));
        let all = ["createdAt", "orderId", "reason", "sagaState", "status", "updatedAt"];
        assert_eq!(members(&message), all.into());
    }
    let again = client.asking("GetOrderStatus");
    let first = client.ask_as("GetOrderStatus", &by_id, &again).await;
    assert_eq!(client.ask_as("GetOrderStatus", &by_id, &again).await, first, "a repeat is answered again");
    for kind in ["GetOrderStatus", "CancelOrder"] {
        let stranger = id();
        let (answer, message) = client.ask(kind, &json!({ "orderId": stranger })).await;
        assert_eq!((answer.as_str(), &message["orderId"]), ("OrderNotFound", &json!(stranger)));
    }
    let (kind, message) = client.ask("CancelOrder", &by_id).await;
    assert_eq!((kind.as_str(), &message["sagaState"]), ("OrderCancellationRefused", &json!("completed")));
    assert!(!message["reason"].as_str().expect("a text").is_empty());
    await_status(&stage.service.store, declined, "cancelled").await;
    let (_, message) = client.ask("GetOrderStatus", &json!({ "orderId": declined.order_id.0 })).await;
    assert_eq!(message["reason"], "payment_declined", "the gateway got the token, though no event had it");
    nothing_stands_in_the_way_of_others(&client, &by_id).await;
    let dead = stage.service.store.readers.overview().await.unwrap().dead_letters;
    assert_eq!(dead, 2, "the two that were answered with a fault");
    stage.close().await;
}

/// Who cannot be answered is not, and what cannot be handled comes back as a fault.
async fn nothing_stands_in_the_way_of_others(client: &Client, by_id: &Value) {
    let gone = Some(client.address("nowhere"));
    let elsewhere = Some(client.address(REPLIES).replace(&client.vhost, "another"));
    for response_address in [gone, elsewhere, None] {
        let asking = Asking { response_address, ..client.asking("GetOrderStatus") };
        client.send("GetOrderStatus", by_id, &asking).await;
    }
    for (kind, message, named) in [
        ("GetOrderStatus", json!({}), "externalReference"),
        ("CancelOrder", json!({ "orderId": by_id["orderId"], "reason": "whim" }), "whim"),
    ] {
        let (answer, fault) = client.ask(kind, &message).await;
        assert_eq!(answer, format!("urn:message:MassTransit:Fault[[Orderwright.Contracts:{kind}]]"));
        let reason = fault["exceptions"][0]["message"].as_str().expect("a text");
        assert!(reason.contains(named), "{reason}");
        assert_eq!(fault["message"], message, "as it was sent");
    }
    let directly = Asking { exchange: "orderwright.order-requests".to_owned(), ..client.asking("Unheard") };
    let (answer, _) = client.ask_as("Unheard", by_id, &directly).await;
    assert_eq!(answer, "urn:message:MassTransit:Fault[[Orderwright.Contracts:Unheard]]");
    let directly = Asking { message_id: id(), ..directly };
    assert_eq!(client.ask_as("GetOrderStatus", by_id, &directly).await.0, "OrderStatus");
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let found = client.channel.exchange_declare(
        "nowhere".into(),
        ExchangeKind::Fanout,
        options,
        FieldTable::default(),
    );
    assert!(found.await.is_err(), "the exchange of another service is not ours to make");
}

async fn answers_requests(place: &Place) {
    let order = |reference: &str, token: &str| CreateOrderCommand {
        customer_id: CustomerId::parse(CUSTOMER).expect("a customer"),
        external_reference: Some(reference.to_owned()),
        payment_token: Some(token.to_owned()),
        ..request()
    };
    let orders = [
        order("A-1", "tok_visa"),
        order("A-2", "tok_visa"),
        order("A-3", "tok_visa"),
        order("A-4", "tok_decline"),
    ];
    leave(&place.with_broker, &orders).await;
    cancels_and_says_so(&place.with_broker, &orders).await;
    tells_where_an_order_stands(&place.with_broker, &orders[2], &orders[3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_client_gets_its_answers_from_a_file() {
    answers_requests(&Place::on_a_file("answers")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_client_gets_its_answers_from_a_server() {
    answers_requests(&Place::on_postgres()).await;
}
