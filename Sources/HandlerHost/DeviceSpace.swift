// SPDX-License-Identifier: Apache-2.0

internal import Synchronization
public import TargetCore

// How much storage a thin store has: the handler's `space`, called by the maintenance thread alone, since it may block.
extension HandlerDevice {
    /// Between two looks.
    static let spaceNanoseconds: UInt64 = 1_000_000_000

    /// As of the last look. A device that is not watched looks again after it was asked.
    public var mappingResources: MappingResources? {
        guard handler.handlerExtension.canTellSpace else { return nil }
        if !configuration.watchesSpace {
            condition.withLock {
                isSpaceWanted = true
                condition.broadcast()
            }
        }
        return space.withLock { $0 }
    }

    /// Called after `mappingResources` has changed, in a thread of the device's.
    public var onSpaceChange: (@Sendable () -> Void)? {
        get { spaceListener.withLock { $0 } }
        set { spaceListener.withLock { $0 = newValue } }
    }

    /// In the maintenance thread, or before there is one.
    func lookAtSpace() {
        guard handler.handlerExtension.canTellSpace else { return }
        let byteCount = blockCount * UInt64(blockByteCount)
        let seen: MappingResources? = lifeCycle.withLock {
            guard isOpenInHandler else { return nil }
            activity.store(Activity.space, ordering: .releasing)
            defer { activity.store(Activity.none, ordering: .releasing) }
            return unsafe handler.handlerExtension.space(device, byteCount: byteCount)
        }
        let hasChanged = space.withLock { known in
            defer { known = seen }
            return known != seen
        }
        if hasChanged { onSpaceChange?() }
    }
}
