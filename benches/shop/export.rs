//! Writes an export with any number of orders to standard output.

use std::io::{BufWriter, Write};

const PRODUCTS: u64 = 5_000;

pub fn export(orders: u64) {
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    writeln!(
        out,
        "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Currency,Subtotal,Shipping,Taxes,Total,Discount Amount,\
         Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Lineitem discount,Shipping Name,Shipping Address1,\
         Shipping City,Shipping Zip,Shipping Country,Refunded Amount"
    )
    .unwrap();
    for order in 1..=orders {
        let lines = 1 + order % 4;
        let (mut subtotal, mut rows) = (0, Vec::new());
        for line in 1..=lines {
            let (quantity, price) = (1 + (order + line) % 3, 100 + (order * 31 + line * 1709) % 4900);
            let product = (order * 7 + line * 1319) % PRODUCTS;
            subtotal += quantity * price;
            rows.push(format!("{quantity},\"Made-up product, kind {product}\",{},SKU-{product},0.00", money(price)));
        }
        let (year, month, day) = (2016 + order * 8 / (orders + 1), 1 + order % 12, 1 + order % 28);
        let placed = format!("{year}-{month:02}-{day:02} {:02}:{:02}:00 +0000", order % 24, order % 60);
        let email = format!("customer{}@shop.example", order * 2_654_435_761 % 100_000);
        for (index, row) in rows.iter().enumerate() {
            if index == 0 {
                let (subtotal, total) = (money(subtotal), money(subtotal + 490));
                writeln!(
                    out,
                    "#{order},{email},paid,{placed},fulfilled,{placed},EUR,{subtotal},4.90,0.00,{total},0.00,{placed},{row},\
                     Robin Sample,{} Harbour Street,Dublin,'0{order},IE,0.00",
                    order % 99
                )
                .unwrap();
            } else {
                writeln!(out, "#{order},{email},,,,,,,,,,,{placed},{row},,,,,,").unwrap();
            }
        }
    }
    out.flush().unwrap();
}

fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
