-- Reports that a dashboard reads from the replica.
\set customer random(1, 5000)
\set product random_zipfian(1, 2000, 1.05)
\set days random(1, 90)
\set report random(1, 4)
\if :report = 1
select c.country, count(*) as orders, max(o.placed_at) as latest
  from orders o
  join customers c on c.id = o.customer_id
 where o.placed_at > now() - :days::integer * interval '1 day' and c.id <= :customer
 group by c.country;
\elif :report = 2
select name, email from customers where id = :customer;
\elif :report = 3
select p.title, coalesce(sum(i.quantity), 0) as "verkaufte Stück"
  from products p left join order_items i on i.product_id = p.id
 where p.id = :product
 group by p.title;
\else
select id, note from orders where note like '%山田様%' and customer_id = :customer order by id desc limit 3;
\endif
