-- Several clients decide on a sum that the others change: serialization failures.
\set product random(10, 13)
begin isolation level serializable;
select sum(stock) from products where id between 10 and 13;
update products set stock = stock - 1 where id = :product;
commit;
