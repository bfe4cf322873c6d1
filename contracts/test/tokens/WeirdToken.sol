// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A token that misbehaves towards one victim (or everybody, when the victim is zero), in one chosen way.
contract WeirdToken {
    enum Mode {
        Plain,
        Fee,
        NoReturn,
        ReturnsFalse,
        ReturnsTwo,
        ShortReturn,
        Reverts,
        Bomb,
        BurnsGas
    }

    mapping(address holder => uint256) public balanceOf;
    Mode public mode;
    address public victim;
    address private hook;
    bytes private hookCall;
    bool public hookDone;
    bytes public hookAnswer;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function misbehave(Mode mode_, address victim_) external {
        (mode, victim) = (mode_, victim_);
    }

    /// Calls back on the next transfer, once.
    function setHook(address target, bytes calldata data) external {
        (hook, hookCall) = (target, data);
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32,
        uint8,
        bytes32,
        bytes32
    ) external {
        _move(from, to, value);
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256,
        uint256,
        bytes32,
        bytes calldata
    ) external {
        _move(from, to, value);
    }

    function _move(address from, address to, uint256 amount) private {
        Mode now_ = victim == address(0) || victim == to ? mode : Mode.Plain;
        if (hook != address(0)) {
            address target = hook;
            hook = address(0);
            (hookDone, hookAnswer) = target.call(hookCall);
        }
        if (now_ == Mode.Reverts) revert("no");
        if (now_ == Mode.BurnsGas) {
            while (true) {}
        }
        if (now_ == Mode.Bomb) {
            assembly {
                revert(0, 100000)
            }
        }
        if (now_ != Mode.ReturnsFalse && now_ != Mode.ReturnsTwo && now_ != Mode.ShortReturn) {
            balanceOf[from] -= amount;
            balanceOf[to] += now_ == Mode.Fee ? amount - amount / 100 : amount;
            emit Transfer(from, to, amount);
        }
        assembly {
            switch now_
            case 2 { return(0, 0) }
            case 3 {
                mstore(0, 0)
                return(0, 0x20)
            }
            case 4 {
                mstore(0, 2)
                return(0, 0x20)
            }
            case 5 {
                mstore(0, not(0))
                return(0, 0x1f)
            }
            default {
                mstore(0, 1)
                return(0, 0x20)
            }
        }
    }
}

/// @notice Answers balance queries in ways a token must not.
contract BlindToken {
    uint256 public size;
    bool public burns;

    function set(uint256 size_, bool burns_) external {
        (size, burns) = (size_, burns_);
    }

    function balanceOf(address) external view returns (uint256) {
        while (burns) {}
        uint256 length = size;
        assembly {
            return(0, length)
        }
    }
}
