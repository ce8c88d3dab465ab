"""The database: tables, migrations and one repository for each noun. Takes and returns domain objects; SQL stays in here."""
