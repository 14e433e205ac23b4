"""The facade, projects on any filesystem, pipelines that go from one to another."""
