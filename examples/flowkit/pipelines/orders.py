"""Orders that are approved by themselves, or wait for a person."""

from fp_events import DAG, task


def in_euros(price, currency, rates):
    return price * rates[currency]


@task(retries=2, delay="100ms")
def amount(order, rates):
    return in_euros(order["price"], order["currency"], rates)


@task(when=lambda amount, limit: amount > limit)
def manual_approval(amount, *, limit):
    return {"approved": False, "why": f"{amount:.2f} is above {limit}"}


@task(when=lambda amount, limit: amount <= limit)
def auto_approval(amount, *, limit):
    return {"approved": True, "why": f"{amount:.2f} is at most {limit}"}


@task
def decision(approval, *, order):
    return {"order": order["id"], **approval}


amount >> [manual_approval, auto_approval] >> decision

dag = DAG("orders", max_workers=2)

if __name__ == "__main__":
    order = {"id": 1, "price": 900, "currency": "USD"}
    print(dag.run(inputs={"order": order, "rates": {"USD": 0.9}, "limit": 1000}))
