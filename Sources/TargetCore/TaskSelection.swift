// SPDX-License-Identifier: Apache-2.0

extension ITNexus {
    /// Aborts those tasks of the nexus that `matches`: a transport has lost the connection that they belong to, while
    /// the nexus goes on. `completion` is called in the loop's thread, perhaps before this returns, when none of them
    /// can touch a medium any more. They are told as aborted.
    public func abortTasks(where matches: @escaping (SCSITask) -> Bool, completion: @escaping () -> Void) {
        abort(.matching(matches), of: attachedUnits + [absentUnit], completion: completion)
    }
}
