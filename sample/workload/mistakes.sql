-- What applications get wrong, one SQLSTATE after the other. Run with errors ignored.
selec 1;
select * from custmers;
select emial from customers;
select c.id from customers;
select lenght('x');
select id, count(*) from orders;
insert into customers (id) values (1, 2);
insert into customers (email, name, country) values ('customer1@example.com', 'Jürgen Groß', 'DE');
insert into customers (email, name, country) values ('nobody@example.com', 'Nobody', 'XX');
insert into customers (email, country) values ('nameless@example.com', 'FR');
insert into customers (email, name, country) values ('long@example.com', 'Long', 'FRA');
insert into orders (customer_id, note) values (-1, E'Bitte klingeln:\n\t"Hinterhof", 2. Stock \\ links\r\n— danke! 🙏');
insert into products (sku, title, price) values ('FREE', 'Gratis 🎁', 0);
insert into products (sku, title, price) values ('GOLD', 'золото', 123456789012);
delete from customers where id = 1;
insert into bookings values (1, '[2024-05-01 10:00+00, 2024-05-01 12:00+00)');
insert into bookings values (1, '[2024-05-01 11:00+00, 2024-05-01 13:00+00)');
select '12a45'::postal_code;
select 'lost'::parcel_state;
select 'twelve'::integer;
select '2024-02-30'::date;
select 'soon'::timestamptz;
select 3000000000::integer;
select 32768::smallint;
select 1 / (select count(*) from customers where country = 'XX');
select sqrt(-1);
select ln(0);
select '{"open": [1, 2'::jsonb;
select '{"a": "\ud800"}'::jsonb;
select '<a><b></a>'::xml;
select 'not-a-uuid'::uuid;
select '10.0.0.256'::inet;
select array[1, 2] + 1;
select (array[1, 2, 3])[1:2][;
select substring('shop' from 1 for -1);
select regexp_match('shop', '(');
select to_timestamp('13/2024', 'MM/YYYY');
select chr(0);
select E'\xe9\xff';
select decode('zz', 'hex');
select encode('x', 'base63');
select nextval('orders_sequence');
select currval('orders_id_seq');
select order_total(0);
select order_total(-9223372036854775808);
select run_dynamic('selec 1 from "Größe"');
select run_dynamic($$update customers
   set name = 'it''s "quoted" \ and 日本語 🎌'
 where id = 'one'$$);
select * from (select 1) as a, (select 2) as a;
select 1 union select 'one', 2;
select sum(sum(price)) from products;
select row_number() over () from products where row_number() over () = 1;
select (select id from customers);
create table customers (id integer);
create index customers_email_key on customers (email);
create schema public;
create role storefront;
create database shop;
drop table customers;
drop table parcels;
alter table customers add column email text;
alter table customers alter column name type integer using name::integer;
create view broken as select * from parcels;
create extension teleport;
create type parcel_state as enum ('packed');
set work_mem = 'plenty';
set transaction isolation level serializable; select 1;
set tablespace_of_mind = 'calm';
set role nobody_knows;
commit;
begin;
begin;
select * from parcels;
select 'ignored until the block ends';
commit;
begin; savepoint before; select 1 / 0; rollback to savepoint before; rollback to savepoint never; rollback;
begin read only; update products set stock = 0 where id = 1; rollback;
begin; set constraints all deferred; declare c cursor for select 1; fetch from d; rollback;
begin; set local lock_timeout = '1ms'; select pg_advisory_lock(1); commit;
prepare find_product as select * from products where id = $1;
prepare find_product as select 1;
execute find_product(1, 2);
execute find_product('x');
execute find_order(1);
deallocate find_product;
set statement_timeout = '20ms';
select pg_sleep(5);
select count(*) from customers a, customers b where a.name < b.name || 'ß';
reset statement_timeout;
do $$ begin raise exception 'payment declined: %', 'カード 💳' using errcode = 'P0001', hint = 'Try "another" card.'; end $$;
do $$ begin raise warning 'stock of % is low', 'Kaffeemühle'; end $$;
do $$ begin perform 1 / 0; exception when division_by_zero then raise log E'swallowed: %\n\twith a second line', sqlerrm; end $$;
do $$ begin assert false, 'invariant is broken'; end $$;
do $$ declare n integer; begin select id into strict n from customers; end $$;
do $$ begin for i in 1..3 loop return next i; end loop; end $$;
copy customers (id, email, name, country) from stdin;
6001	copy1@example.com	Zoë	FR
six	copy2@example.com	"João"	BR
\.
copy products (sku, title) from stdin with (format csv, header true);
sku,title
A-1,"one ""quoted"" title"
A-2,too,many
\.
copy customers to '/nonexistent/customers.csv';
lock table parcels in exclusive mode;
vacuum parcels;
begin; vacuum products; rollback;
reindex index parcels_pkey;
select pg_read_file('missing.txt');
select set_config('storefront.cart', E'a\u2028b\u007fc\u0001d\be\ff', false);
select pg_terminate_backend(0);
select lo_get(12345);
select 'a' collate "xx_XX";
select 1 as "an identifier that is far too long to be kept as it is, because sixty-three bytes are the limit: ÄÖÜ";
notify orders, 'ready 🚚';
select *
  from customers
 where name = 'O''Neil'   -- a comment with "quotes" and a \ backslash
   and emial like '%@example.com'
 order by 1;
