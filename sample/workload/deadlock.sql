-- Several clients take two rows in any order: lock waits, and now and then a deadlock.
\set first random(1, 3)
\set second random(1, 3)
begin;
update products set stock = stock - 1 where id = :first;
\sleep 60 ms
update products set stock = stock - 1 where id = :second;
commit;
