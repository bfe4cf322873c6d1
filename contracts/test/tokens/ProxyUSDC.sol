// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice USDC-shaped in what costs gas: a proxy with admin and implementation slots, a paused flag, and the blocklist
/// bit in the balance word. A model, not Circle's bytecode.
contract ProxyUSDC {
    bytes32 private constant ADMIN_SLOT = keccak256("d402.test.proxy.admin");
    bytes32 private constant IMPLEMENTATION_SLOT = keccak256("d402.test.proxy.implementation");

    constructor(address implementation) {
        bytes32 adminSlot = ADMIN_SLOT;
        bytes32 implementationSlot = IMPLEMENTATION_SLOT;
        assembly {
            sstore(adminSlot, 1)
            sstore(implementationSlot, implementation)
        }
    }

    function upgrade(address implementation) external {
        bytes32 slot = IMPLEMENTATION_SLOT;
        assembly {
            sstore(slot, implementation)
        }
    }

    fallback() external payable {
        bytes32 adminSlot = ADMIN_SLOT;
        bytes32 implementationSlot = IMPLEMENTATION_SLOT;
        assembly {
            // The admin check of every call through such a proxy.
            if eq(caller(), sload(adminSlot)) { revert(0, 0) }
            let implementation := sload(implementationSlot)
            calldatacopy(0, 0, calldatasize())
            let ok := delegatecall(gas(), implementation, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            switch ok
            case 0 { revert(0, returndatasize()) }
            default { return(0, returndatasize()) }
        }
    }
}

contract ProxyUSDCLogic {
    uint256 private constant BLOCKED = 1 << 255;

    bool public paused;
    mapping(address holder => uint256 balanceAndBlocked) private words;
    mapping(address authorizer => mapping(bytes32 nonce => bool)) public authorizationState;

    bytes32 private constant TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    event Transfer(address indexed from, address indexed to, uint256 value);
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("USDC"),
                keccak256("2"),
                block.chainid,
                address(this)
            )
        );
    }

    function mint(address to, uint256 amount) external {
        words[to] += amount;
        emit Transfer(address(0), to, amount);
    }

    function setPaused(bool value) external {
        paused = value;
    }

    function setBlocked(address who, bool value) external {
        words[who] = value ? words[who] | BLOCKED : words[who] & ~BLOCKED;
    }

    function isBlacklisted(address who) external view returns (bool) {
        return words[who] & BLOCKED != 0;
    }

    function balanceOf(address who) public view returns (uint256) {
        return words[who] & ~BLOCKED;
    }

    function transfer(address to, uint256 amount) external virtual returns (bool) {
        _transfer(msg.sender, to, amount);
        return true;
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external {
        _authorized(from, to, value, validAfter, validBefore, nonce, v, r, s);
    }

    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external {
        (bytes32 r, bytes32 s) = abi.decode(signature[:64], (bytes32, bytes32));
        _authorized(from, to, value, validAfter, validBefore, nonce, uint8(signature[64]), r, s);
    }

    function _authorized(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) private {
        require(block.timestamp > validAfter, "FiatTokenV2: authorization is not yet valid");
        require(block.timestamp < validBefore, "FiatTokenV2: authorization is expired");
        require(!authorizationState[from][nonce], "FiatTokenV2: authorization is used or canceled");
        bytes32 structHash = keccak256(abi.encode(TYPEHASH, from, to, value, validAfter, validBefore, nonce));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR(), structHash));
        require(from != address(0) && ecrecover(digest, v, r, s) == from, "FiatTokenV2: invalid signature");
        authorizationState[from][nonce] = true;
        emit AuthorizationUsed(from, nonce);
        _transfer(from, to, value);
    }

    function _transfer(address from, address to, uint256 amount) private {
        require(!paused, "Pausable: paused");
        require(words[msg.sender] & BLOCKED == 0, "Blacklistable: account is blacklisted");
        uint256 held = words[from];
        uint256 target = words[to];
        require(held & BLOCKED == 0 && target & BLOCKED == 0, "Blacklistable: account is blacklisted");
        require(to != address(0), "ERC20: transfer to the zero address");
        require(held >= amount, "ERC20: transfer amount exceeds balance");
        words[from] = held - amount;
        words[to] = words[to] + amount;
        emit Transfer(from, to, amount);
    }
}
