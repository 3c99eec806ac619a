//! What the stores of both engines hand on to the bus's own store.

/// Implements the bus's traits for a store whose field 0 is the bus's store.
macro_rules! forward_bus {
    ($store:ty) => {
        #[::async_trait::async_trait]
        impl ::bus::Transport for $store {
            async fn subscribe(&self, queue: &str) -> Result<Box<dyn ::bus::Feed>, ::bus::Fault> {
                self.0.subscribe(queue).await
            }

            async fn send(&self, envelopes: &[::bus::Envelope]) -> Result<(), ::bus::Unsent> {
                self.0.send(envelopes).await
            }
        }

        #[::async_trait::async_trait]
        impl ::bus::OutboxStore for $store {
            async fn lease(
                &self,
                holder: ::uuid::Uuid,
                now: ::jiff::Timestamp,
                until: ::jiff::Timestamp,
                max: usize,
            ) -> Result<Vec<::bus::Leased>, ::bus::Fault> {
                self.0.lease(holder, now, until, max).await
            }

            async fn remove(&self, holder: ::uuid::Uuid, positions: &[i64]) -> Result<usize, ::bus::Fault> {
                self.0.remove(holder, positions).await
            }
        }

        #[::async_trait::async_trait]
        impl ::bus::DeadLetters for $store {
            async fn list_dead_letters(
                &self,
                filter: &::bus::DeadLetterFilter,
                max: usize,
            ) -> Result<Vec<::bus::DeadLetter>, ::bus::Fault> {
                self.0.list_dead_letters(filter, max).await
            }

            async fn count_dead_letters(
                &self,
                filter: &::bus::DeadLetterFilter,
            ) -> Result<u64, ::bus::Fault> {
                self.0.count_dead_letters(filter).await
            }

            async fn group_dead_letters(
                &self,
                filter: &::bus::DeadLetterFilter,
                max: usize,
            ) -> Result<::bus::DeadLetterGroups, ::bus::Fault> {
                self.0.group_dead_letters(filter, max).await
            }

            async fn redrive(
                &self,
                positions: &[i64],
                by: &::bus::Signed<'_>,
            ) -> Result<Vec<i64>, ::bus::Fault> {
                self.0.redrive(positions, by).await
            }

            async fn archive(
                &self,
                positions: &[i64],
                by: &::bus::Signed<'_>,
            ) -> Result<Vec<i64>, ::bus::Fault> {
                self.0.archive(positions, by).await
            }
        }

        #[::async_trait::async_trait]
        impl ::bus::Pauses for $store {
            async fn paused_queues(&self) -> Result<Vec<::bus::Paused>, ::bus::Fault> {
                self.0.paused_queues().await
            }

            async fn pause_queue(&self, queue: &str, by: &::bus::Signed<'_>) -> Result<bool, ::bus::Fault> {
                self.0.pause_queue(queue, by).await
            }

            async fn resume_queue(&self, queue: &str, by: &::bus::Signed<'_>) -> Result<bool, ::bus::Fault> {
                self.0.resume_queue(queue, by).await
            }
        }

        #[::async_trait::async_trait]
        impl ::bus::WorkerRegister for $store {
            async fn report_worker(
                &self,
                report: &::bus::WorkerReport,
                now: ::jiff::Timestamp,
            ) -> Result<(), ::bus::Fault> {
                self.0.report_worker(report, now).await
            }

            async fn worker_leaves(
                &self,
                id: ::uuid::Uuid,
                now: ::jiff::Timestamp,
            ) -> Result<(), ::bus::Fault> {
                self.0.worker_leaves(id, now).await
            }

            async fn list_workers(&self) -> Result<Vec<::bus::Worker>, ::bus::Fault> {
                self.0.list_workers().await
            }

            async fn forget_workers(&self, before: ::jiff::Timestamp) -> Result<usize, ::bus::Fault> {
                self.0.forget_workers(before).await
            }

            fn held_here(&self) -> Vec<(::std::sync::Arc<str>, u64)> {
                self.0.held_here()
            }
        }
    };
}

pub(crate) use forward_bus;
