//! The contract with other services, without a broker: what is written is what the documents show, what was written is read
//! back as it was, and what others write is understood or refused with a reason.

mod one_of_each;
mod understood;
mod written;

use bus_rabbitmq::wire::{Codec, Host};
use jiff::Timestamp;
use orderwright::config::RabbitMq;
use uuid::Uuid;

const ORDER: Uuid = Uuid::from_u128(0x0192_3f5e_8a40_7c11_9d2e_5b6a_7c8d_9e0f);
const CAUSE: Uuid = Uuid::from_u128(0x0192_3f5e_8a41_8f00_b1c2_d3e4_f506_1728);
const CONVERSATION: Uuid = Uuid::from_u128(0x0192_3f5e_8a3f_7000_8a9b_acbd_cedf_e0f1);
const PRODUCT: Uuid = Uuid::from_u128(0x0191_0000_0000_7abc_8def_0123_4567_89ab);
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const SENT_AT: Timestamp = Timestamp::constant(1_731_580_200, 250_000_000);
const RECEIVED_AT: Timestamp = Timestamp::constant(1_731_580_201, 0);

fn codec() -> Codec {
    let host = Host {
        machine_name: "worker-1".into(),
        process_name: "orderwright".into(),
        process_id: 1,
        assembly: "orderwright".into(),
        assembly_version: "0.1.0".into(),
        operating_system_version: "linux".into(),
    };
    Codec::new(RabbitMq::default().naming(), "rabbitmq://broker/shop".into(), &host, RabbitMq::reading())
}
