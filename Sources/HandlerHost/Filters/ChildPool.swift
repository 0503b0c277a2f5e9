// SPDX-License-Identifier: Apache-2.0

internal import CLinux
internal import Synchronization
public import TargetCore

/// The child requests of one filter. They are made up front; only a depth that was never reached before makes more, and
/// those are kept. Depth has its limits elsewhere: the windows of the sessions.
///
/// Sendable: the list is guarded by its lock, `filter` is set before the filter takes requests.
@safe
public final class ChildPool<Filter: DeviceFilter>: @unchecked Sendable {
    private struct State {
        /// All there are: nothing else keeps a child.
        var all: [ChildRequest<Filter>] = []
        var firstFree: Borrowed<ChildRequest<Filter>>?
    }

    /// The window of a session, twice.
    public static var usualCount: Int { 256 }
    private static var reportNanoseconds: UInt64 { 5_000_000_000 }

    /// The filter keeps its pool, and stays until its last child has ended.
    private(set) var filter: Borrowed<Filter>!
    private let state: Mutex<State>
    private let makeNote: @Sendable () -> Filter.Note
    private let underWay = Atomic<Int>(0)
    private let isClosing = Atomic<Bool>(false)
    private let condition = ThreadCondition()

    /// `note`: what a new child's note is.
    public init(note: @escaping @Sendable () -> Filter.Note) {
        makeNote = note
        state = Mutex(State())
    }

    /// The last step of making a filter: its children end with it.
    public func attach(_ filter: Filter, count: Int = ChildPool.usualCount) {
        self.filter = Borrowed(filter)
        let children = (0..<count).map { _ in ChildRequest(pool: self, note: makeNote()) }
        state.withLock { state in
            state.all = children
            for child in children { Self.push(child, on: &state) }
        }
    }

    /// A child that asks what `parent` asks.
    public func take(for parent: BlockRequest) -> ChildRequest<Filter> {
        underWay.add(1, ordering: .sequentiallyConsistent)
        let free = state.withLock { state -> ChildRequest<Filter>? in
            guard let first = state.firstFree?.object else { return nil }
            state.firstFree = first.place.nextFree
            first.place.serving = ObjectIdentifier(parent)
            return first
        }
        let child = free ?? grow(for: parent)
        child.adopt(parent)
        return child
    }

    private func grow(for parent: BlockRequest) -> ChildRequest<Filter> {
        let child = ChildRequest(pool: self, note: makeNote())
        child.place.serving = ObjectIdentifier(parent)
        state.withLock { $0.all.append(child) }
        return child
    }

    func put(_ child: ChildRequest<Filter>) {
        state.withLock { state in
            child.place.serving = nil
            if child.place.visitCount == 0 { Self.push(child, on: &state) }
        }
    }

    private static func push(_ child: ChildRequest<Filter>, on state: inout State) {
        child.place.nextFree = state.firstFree
        state.firstFree = Borrowed(child)
    }

    /// Calls `body` with the children that serve `parent`, each of which may end meanwhile, but serves no other parent
    /// before `body` returns. For rare things: it looks at all there are.
    public func forEach(serving parent: BlockRequest, _ body: (ChildRequest<Filter>) -> Void) {
        let children = state.withLock { state in
            let found = state.all.filter { $0.place.serving == ObjectIdentifier(parent) }
            for child in found { child.place.visitCount += 1 }
            return found
        }
        for child in children {
            body(child)
            state.withLock { state in
                child.place.visitCount -= 1
                if child.place.visitCount == 0, child.place.serving == nil { Self.push(child, on: &state) }
            }
        }
    }

    func oneEnded() {
        let left = underWay.subtract(1, ordering: .sequentiallyConsistent).newValue
        if left == 0, isClosing.load(ordering: .sequentiallyConsistent) {
            condition.withLock { condition.broadcast() }
        }
    }

    /// Waits until no child is under way; `report` hears of the number every five seconds. No new one comes.
    public func waitUntilIdle(report: (Int) -> Void) {
        isClosing.store(true, ordering: .sequentiallyConsistent)
        while true {
            let deadline = clinux_monotonic_nanoseconds() + Self.reportNanoseconds
            let left = condition.withLock {
                while underWay.load(ordering: .sequentiallyConsistent) > 0, clinux_monotonic_nanoseconds() < deadline {
                    condition.wait(until: deadline)
                }
                return underWay.load(ordering: .sequentiallyConsistent)
            }
            if left == 0 { return }
            report(left)
        }
    }
}
