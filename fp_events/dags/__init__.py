"""Running tasks by themselves: `DAG`, its pictures, its progress and its log. No daemon, no broker, no Hamilton."""
