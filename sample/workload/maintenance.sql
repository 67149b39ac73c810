-- Long, heavy and talkative statements of an operator.
checkpoint;
set work_mem = '64kB';
select payload, count(*) from (select a.payload from events a, generate_series(1, 3) order by a.payload, a.at) e group by payload order by 2 desc limit 1;
select c.country, p.title, sum(i.quantity * p.price) as revenue
  from order_items i
  join orders o on o.id = i.order_id
  join customers c on c.id = o.customer_id
  join products p on p.id = i.product_id
 group by rollup (c.country, p.title)
 order by revenue desc nulls last
 limit 5;
create index concurrently orders_state_placed_at on orders (state, placed_at);
drop index concurrently orders_state_placed_at;
vacuum (analyze) orders;
reindex table order_items;
select pg_sleep(0.3) as "a slow one ⏳";

set parallel_setup_cost = 0;
set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0;
set max_parallel_workers_per_gather = 2;
set parallel_leader_participation = off;
select sum(abalance), count(distinct md5(filler || aid)) from pgbench_accounts where aid < 60000;
select a.aid, md5(b.filler) from pgbench_accounts a join pgbench_accounts b on a.aid = b.bid * 37 order by 2 limit 2;
select sum(1000 / (aid - 77777)) from pgbench_accounts;
select count(*) from pgbench_accounts where (filler || aid)::integer = 5;
reset parallel_leader_participation;

load 'auto_explain';
set auto_explain.log_min_duration = 0;
set auto_explain.log_analyze = on;
set auto_explain.log_buffers = on;
set auto_explain.log_nested_statements = on;
select o.id, order_total(o.id) from orders o where exists (select from order_items i where i.order_id = o.id) order by o.id desc limit 2;
set auto_explain.log_format = 'json';
select title, attributes ->> 'color' as "Farbe" from products where attributes @> '{"color": "grün"}' order by price, id limit 3;
set auto_explain.log_min_duration = -1;

set log_error_verbosity = verbose;
select * from parcels;
insert into customers (email, name, country) values ('customer2@example.com', 'Zoë', 'FR');
select order_total(0);
select 1 / 0;
commit;
reset log_error_verbosity;

set log_min_messages = info;
drop table if exists parcels;
do $$ begin raise notice 're-indexed % of % 📈', 3, 3; raise info 'done'; end $$;
set log_min_messages = debug1;
create table if not exists deliveries (id integer primary key, parcel parcel_state);
drop table deliveries;
reset log_min_messages;
