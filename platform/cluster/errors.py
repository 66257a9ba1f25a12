"""What the cluster's rows can refuse a broker."""


class BrokerFenced(Exception):
    """This process is no longer the broker: another one started on its data directory, or took it over. It must
    stop.
    """
