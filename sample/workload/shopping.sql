-- What the shop's web servers do all day.
\set customer random(1, 5000)
\set product random_zipfian(1, 2000, 1.05)
\set quantity random(1, 9)
\set visit random(100000, 99999999)
\set action random(1, 100)
\if :action <= 40
select p.id, p.sku, p.title, p.price, p.attributes ->> 'color' as color
  from products p
 where p.id = :product;
\elif :action <= 60
select o.id, o.state, o.placed_at, count(i.product_id) as items
  from orders o
  left join order_items i on i.order_id = o.id
 where o.customer_id = :customer
 group by o.id
 order by o.placed_at desc
 limit 10;
\elif :action <= 70
insert into events (kind, payload) values ('search', jsonb_build_object('terms', 'Größe ' || :quantity || ' "schön" \ 靴 👟', 'visit', :visit::integer, 'customer', :customer::integer));
\elif :action <= 75
select id, title, price from products where title ilike '%No. ' || :quantity || '%' and price between :quantity and :quantity * 10 order by price, id limit 5;
\elif :action <= 90
insert into events (kind, payload) values ('view', jsonb_build_object('product', :product::integer, 'visit', :visit::integer, 'referrer', 'https://shop.example.com/p/' || :product || '?utm_campaign=fr%C3%BChling&v=' || :visit));
\else
begin;
with placed as (
  insert into orders (customer_id, note)
  values (:customer, 'Klingel "Müller", Code ' || :visit || E'\n— c/o 山田様 🚲')
  returning id
)
insert into order_items (order_id, product_id, quantity) select id, :product, :quantity from placed;
update products set stock = stock - :quantity where id = :product;
select pg_notify('orders', 'customer ' || :customer);
commit;
\endif
