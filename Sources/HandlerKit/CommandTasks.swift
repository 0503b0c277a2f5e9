// SPDX-License-Identifier: Apache-2.0

internal import HandlerABI
internal import Synchronization

/// The tasks of one device's commands: so many at a time, each of which completes its command exactly once.
final class CommandTasks: Sendable {
    private struct State {
        /// Commands with a task.
        var runningCount = 0
        /// By the address of the command, as long as it is not completed.
        var tasks: [UInt: Task<Void, Never>] = [:]
        /// Commands that wait for one.
        var waiting = Queue<AsyncCommand>()
        var isAwaited = false
    }

    let executor: DeviceExecutor
    private let limit: Int
    private let state = Mutex(State())
    private let isIdle = Semaphore()

    init(_ executor: DeviceExecutor, limit: Int) {
        self.executor = executor
        self.limit = limit
    }

    /// Gives `command` a task, now or when one of the others has ended. Does not wait.
    func begin(_ command: AsyncCommand, on device: OpenDevice) {
        state.withLock { state in
            guard state.runningCount < limit else { return state.waiting.append(command) }
            state.runningCount += 1
            start(command, on: device, &state)
        }
    }

    /// Under the lock, which the task needs to end: it finds itself in the table.
    private func start(_ command: AsyncCommand, on device: OpenDevice, _ state: inout State) {
        state.tasks[command.key] = Task(executorPreference: executor) { [self] in
            let status = await command.perform(on: device)
            // Its address may be another command's as soon as it is completed.
            forget(command)
            command.complete(status)
            ended(on: device)
        }
    }

    private func forget(_ command: AsyncCommand) {
        state.withLock { state in _ = state.tasks.removeValue(forKey: command.key) }
    }

    private func ended(on device: OpenDevice) {
        let isLast = state.withLock { state in
            if let next = state.waiting.takeFirst() {
                start(next, on: device, &state)
                return false
            }
            state.runningCount -= 1
            return state.runningCount == 0 && state.isAwaited
        }
        if isLast { isIdle.signal() }
    }

    /// The host wants an early end of the command at this address, if it is still here.
    func cancel(_ key: UInt) {
        var removed: AsyncCommand?
        let task = state.withLock { (state) -> Task<Void, Never>? in
            if let task = state.tasks[key] { return task }
            removed = state.waiting.take { $0.key == key }
            return nil
        }
        // Without the lock: both call what the handler's author, or the host, has put there.
        task?.cancel()
        removed?.complete(CalloutStatus.timeout)
    }

    /// Returns when no task is left. The host begins no command any more; once.
    func waitUntilIdle() {
        let mustWait = state.withLock { state in
            state.isAwaited = true
            return state.runningCount > 0
        }
        if mustWait { isIdle.wait() }
    }
}
