-- The last lines are what an account without the right may not do.
set search_path = public;
select id, title from products where title like '%急須%' and price < 20 order by price limit 3;
update customers set name = 'Mallory' where id = 1;
delete from orders where id = 1;
drop table orders;
create table carts (id integer);
truncate events;
select * from pg_authid;
select pg_reload_conf();
copy orders to program 'cat';
alter system set work_mem = '1MB';
vacuum customers;
set role postgres;
