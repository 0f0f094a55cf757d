"""Which attention helps: one backbone, trained plain and with each attention, paired by seed."""
