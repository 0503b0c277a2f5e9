// SPDX-License-Identifier: Apache-2.0

/// A reference to an object that somebody else keeps alive for as long as the reference is used.
///
/// Reading an ordinary reference from a variable counts it up and down again, which is an atomic operation each time
/// and was a quarter of a command's cost; `use` counts nothing. Who stores one says who keeps the object alive.
@safe @frozen
public struct Borrowed<Object: AnyObject> {
    @usableFromInline let reference: Unmanaged<Object>

    @inlinable @inline(__always)
    public init(_ object: Object) { unsafe reference = .passUnretained(object) }

    /// Calls `body` with the object, which must not go before it returns.
    @inlinable @inline(__always)
    public func use<Value, Failure: Error>(_ body: (Object) throws(Failure) -> Value) throws(Failure) -> Value {
        // Safe by this type's contract.
        let result: Result<Value, Failure> = unsafe reference._withUnsafeGuaranteedRef { object in
            do throws(Failure) { return .success(try body(object)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// The object, counted: for where its cost does not matter.
    @inlinable
    public var object: Object { unsafe reference.takeUnretainedValue() }

    @inlinable @inline(__always)
    public func refers(to object: Object) -> Bool {
        unsafe reference.toOpaque() == Unmanaged.passUnretained(object).toOpaque()
    }
}

// Not more than the object itself: a reference adds no access of its own.
extension Borrowed: @unchecked Sendable where Object: Sendable {}
