"""Consumer groups: Kafka's classic group protocol, coordinator side, and committed offsets.

Reading order: `exchange` (what handlers pass in and get back), `group` (one group as a pure state machine), `offsets`,
`records` (how both are kept in the internal topic), `seams` (log and clock), `coordinator` (owns everything).
"""
