// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// What handlers may still reach of loops that have ended. A handler that completes a command once more, or only now,
/// goes by the address of the command's record: records stay for the life of the process. So does all of a loop that
/// ended although commands of its sessions were under way, whose buffers a handler may still fill.
///
/// Sendable: what is put here is never taken out, and nobody uses it.
final class EndedLoops: Sendable {
    private struct Kept: @unchecked Sendable {
        var value: AnyObject
    }

    private static let kept = Mutex<[Kept]>([])

    /// In the loop's thread, when it has ended.
    static func keep(_ context: LoopContext) {
        let objects: [AnyObject] = context.isQuiet ? context.tasksOfQuietSessions : [context]
        let new = objects.map { Kept(value: $0) }
        kept.withLock { $0 += new }
    }
}
