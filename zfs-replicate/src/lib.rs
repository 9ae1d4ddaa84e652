//! Replication of ZFS datasets: a pure planner and an executor that resumes.
