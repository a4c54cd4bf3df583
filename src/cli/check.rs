//! `order-portal check`: everything that would end the start, without starting.

use std::sync::Arc;

use super::{Failure, failed, open, parse_email, print, warn};
use crate::accounts::BreachedPasswords;
use crate::clock::Clock;
use crate::config::Config;
use crate::mail::{Sender, Transport};
use crate::server;
use crate::web::Assets;

pub(super) async fn run(config: &Config, clock: &Clock, test_address: Option<&str>) -> Result<(), Failure> {
    let test_address = test_address.map(parse_email).transpose()?;
    for (name, value) in &config.summary {
        print(format!("{name:22} {value}"));
    }
    config.warnings().iter().for_each(|warning| warn(warning));
    Assets::load(config.static_dir.as_deref(), &config.shop).map_err(failed)?;
    print("the static files are there");
    if let Some(file) = &config.breached_passwords {
        let breached = BreachedPasswords::load(file).map_err(|error| Failure::Usage(error.to_string()))?;
        print(format!("the filter of breached passwords can be used: {} passwords", breached.count()));
    }
    if let Some(files) = &config.tls {
        server::load_certificate(files).map_err(failed)?;
        print("the certificate and its key can be used");
    }
    let database = open(config).await?;
    let written = database.check_writable().await;
    database.close().await;
    written.map_err(|error| failed(format!("cannot write the database {}: {error}", config.database_url)))?;
    print("the database answers and can be written");
    let transport = Transport::new(config).map_err(failed)?;
    transport.check().await.map_err(|error| failed(format!("mail cannot leave: {error}; check MAIL_URL")))?;
    print("mail can be handed over");
    if let Some(address) = test_address {
        let site = config.origin_at(config.bind_addr.port());
        let (shop, zone) = (Arc::new(config.shop.clone()), config.shop_time_zone.clone());
        let sender = Sender { site, shop, zone };
        let sent = transport.send_test(&clock.new_id(), &address, &sender).await;
        sent.map_err(|error| failed(format!("the test message did not leave: {error}; check MAIL_URL and MAIL_FROM")))?;
        print(format!("a test message to {address} was handed over"));
    }
    Ok(())
}
