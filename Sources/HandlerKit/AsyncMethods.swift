// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import HandlerABI
internal import Synchronization

/// The instance of an asynchronous handler, cast once for all commands, and the tasks of its commands.
final class AsyncMethods: Sendable {
    let instance: any AsyncStoreHandler
    let block: (any AsyncBlockHandler)?
    let unmapping: (any AsyncUnmappingHandler)?
    let writeSame: (any AsyncWriteSameHandler)?
    let zeroing: (any AsyncZeroingHandler)?
    let compareAndWrite: (any AsyncCompareAndWriteHandler)?
    let blockStatus: (any AsyncBlockStatusHandler)?
    let command: (any AsyncCommandHandler)?
    let tasks: CommandTasks

    private init(_ instance: any AsyncStoreHandler, _ executor: DeviceExecutor) {
        self.instance = instance
        block = instance as? any AsyncBlockHandler
        unmapping = instance as? any AsyncUnmappingHandler
        writeSame = instance as? any AsyncWriteSameHandler
        zeroing = instance as? any AsyncZeroingHandler
        compareAndWrite = instance as? any AsyncCompareAndWriteHandler
        blockStatus = instance as? any AsyncBlockStatusHandler
        command = instance as? any AsyncCommandHandler
        tasks = CommandTasks(executor, limit: type(of: instance).commandLimit)
    }

    /// Waits for the handler's asynchronous `init`.
    static func open(_ type: any AsyncStoreHandler.Type, _ device: HostDevice) throws(HandlerRefusal) -> AsyncMethods {
        let executor = DeviceExecutor(name: type.subtype, threadCount: type.threadCount, device)
        let result = executor.run { () async -> Result<any AsyncStoreHandler, HandlerRefusal> in
            do throws(HandlerRefusal) {
                return .success(try await type.init(device))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let instance): return AsyncMethods(instance, executor)
        case .failure(let refusal):
            executor.stop()
            throw refusal
        }
    }

    /// Waits for the tasks, which have completed their commands and may still be on their way out, and for the
    /// handler's asynchronous `close`.
    func close() {
        tasks.waitUntilIdle()
        tasks.executor.run { [instance] in await instance.close() }
        tasks.executor.stop()
    }
}

extension DeviceExecutor {
    private final class Answer<Value: Sendable>: Sendable {
        let value = Mutex<Value?>(nil)
        let isThere = Semaphore()
    }

    /// Runs `work` in a task and waits for it. Not for Swift's shared threads.
    func run<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) -> Value {
        let answer = Answer<Value>()
        Task(executorPreference: self) {
            let value = await work()
            answer.value.withLock { $0 = value }
            answer.isThere.signal()
        }
        answer.isThere.wait()
        // The task has set it before it signalled.
        return answer.value.withLock { $0! }
    }
}
