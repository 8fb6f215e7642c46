"""From events to deliveries: whom an event reaches, and with which body.

Read on in `collector` (events of jobs), `notices` (facts about other things), `payload` (what is sent), `event_types`
(what there is, as data).
"""
