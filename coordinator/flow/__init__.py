"""What people declare: agents, flows, subscriptions, schedules. Pure values; no server is known here."""
